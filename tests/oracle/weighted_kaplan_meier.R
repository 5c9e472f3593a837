# Weighted Kaplan-Meier (case weights, IPTW), Greenwood vs infinitesimal-jackknife SE: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript weighted_kaplan_meier.R writes expected/weighted_kaplan_meier.json; needs the packages named in each record.
source("record.R")

record("wkm_lung_caseweights", "survival::lung",
  prep = "d <- survival::lung; d$w <- d$age/mean(d$age)",
  call = "fit <- survfit(Surv(time, status==2)~sex, data=d, weights=w, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(100,200,365,500,700)), quantiles=quant(fit))",
  note = "non-integer weights: survfit then uses the robust (infinitesimal jackknife) variance by DEFAULT (equal to the robust=TRUE record, not to robust=FALSE)",
  packages = c("survival"))

record("wkm_lung_robust_false", "survival::lung",
  prep = "d <- survival::lung; d$w <- d$age/mean(d$age)",
  call = "fit <- survfit(Surv(time, status==2)~sex, data=d, weights=w, robust=FALSE, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(100,200,365,500,700)))",
  note = "robust=FALSE: Greenwood with weighted counts",
  packages = c("survival"))

record("wkm_lung_robust_true", "survival::lung",
  prep = "d <- survival::lung; d$w <- d$age/mean(d$age); d$id <- seq_len(nrow(d))",
  call = "fit <- survfit(Surv(time, status==2)~sex, data=d, weights=w, robust=TRUE, id=id, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(100,200,365,500,700)))",
  note = "robust=TRUE: infinitesimal jackknife, one id per subject",
  packages = c("survival"))

record("wkm_lung_robust_unweighted", "survival::lung",
  prep = "d <- survival::lung; d$id <- seq_len(nrow(d))",
  call = "fit <- survfit(Surv(time, status==2)~1, data=d, robust=TRUE, id=id, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(100,200,365,500,700)))",
  note = NULL,
  packages = c("survival"))

record("wkm_rotterdam_iptw", "survival::rotterdam",
  prep = "d <- survival::rotterdam; d$rfs <- pmax(d$recur,d$death); d$rfstime <- with(d, ifelse(recur==1, rtime, dtime)); d <- subset(d, nodes>0)\nps <- glm(hormon ~ age + meno + size + factor(grade) + nodes + log(pgr+1) + log(er+1), family=binomial, data=d)\nd$ps <- fitted(ps); p1 <- mean(d$hormon); d$w <- with(d, ifelse(hormon==1, 1/ps, 1/(1-ps))); d$sw <- with(d, ifelse(hormon==1, p1/ps, (1-p1)/(1-ps)))",
  call = "d$id <- d$pid\nfit <- survfit(Surv(rfstime, rfs)~hormon, data=d, weights=w, robust=TRUE, id=id, conf.type='log-log')\nfitn <- survfit(Surv(rfstime, rfs)~hormon, data=d, weights=w, robust=FALSE, conf.type='log-log')\nfits <- survfit(Surv(rfstime, rfs)~hormon, data=d, weights=sw, robust=TRUE, id=id, conf.type='log-log')",
  read_off = "list(n=nrow(d), ps_coef=coef(ps), weight_sum=sum(d$w), weight_range=I(range(d$w)), ess=with(d, tapply(w, hormon, function(w) sum(w)^2/sum(w^2))), robust=km_at(fit,365.25*c(1,2,3,5,7,10)), greenwood_weighted=km_at(fitn,365.25*c(1,2,3,5,7,10)), stabilised=km_at(fits,365.25*c(1,3,5)))",
  note = "node-positive subset; ATE weights; robust SE treats weights as known",
  packages = c("survival"))

finish("expected/weighted_kaplan_meier.json", "Weighted Kaplan-Meier (case weights, IPTW), Greenwood vs infinitesimal-jackknife SE", "weighted_kaplan_meier.R")
