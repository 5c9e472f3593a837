# Cumulative incidence, Gray, Fine-Gray, restricted mean time lost: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript competing_risks.R writes expected/competing_risks.json; needs the packages named in each record.
source("record.R")

record("aj_mgus2_all", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1)); d$event <- factor(d$ev,0:2,c('censor','pcm','death'))",
  call = "fit <- survfit(Surv(etime,event)~1, data=d)\ns <- summary(fit,times=c(12,60,120,180,240),extend=TRUE)",
  read_off = "list(states=fit$states, time=s$time, strata=as.character(s$strata), n_risk=s$n.risk, pstate=unname(s$pstate), std_err=unname(s$std.err), lower=unname(s$lower), upper=unname(s$upper))",
  note = "SE = infinitesimal jackknife (survival default for multi-state). Columns follow `states`.",
  packages = c("survival"))

record("aj_mgus2_sex", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1)); d$event <- factor(d$ev,0:2,c('censor','pcm','death'))",
  call = "fit <- survfit(Surv(etime,event)~sex, data=d)\ns <- summary(fit,times=c(12,60,120,180,240),extend=TRUE)",
  read_off = "list(states=fit$states, time=s$time, strata=as.character(s$strata), n_risk=s$n.risk, pstate=unname(s$pstate), std_err=unname(s$std.err), lower=unname(s$lower), upper=unname(s$upper))",
  note = NULL,
  packages = c("survival"))

record("cuminc_mgus2_sex_gray", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1)); d$event <- factor(d$ev,0:2,c('censor','pcm','death'))",
  call = "ci <- cuminc(d$etime, d$ev, d$sex, cencode=0)\ntp <- timepoints(ci,times=c(12,60,120,180,240))",
  read_off = "list(est=tp$est, var=tp$var, gray=ci$Tests)",
  note = "rows \"F 1\" = sex F, cause 1 (pcm). var = Aalen-type variance of cmprsk; gray rows = cause 1 and 2",
  packages = c("survival", "cmprsk"))

record("etm_mgus2", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1)); d$event <- factor(d$ev,0:2,c('censor','pcm','death'))",
  call = "cf <- etmCIF(Surv(etime,ev!=0)~1, data=d, etype=ev, failcode=1)\ns1 <- summary(cf)[[1]][[1]]; s2 <- summary(cf)[[1]][[2]]\nk <- function(s) s[sapply(c(12,60,120,180,240),function(t) max(which(s$time<=t))),]",
  read_off = "list(cause1=k(s1), cause2=k(s2))",
  note = "Greenwood-type variance of the Aalen-Johansen (etm)",
  packages = c("survival", "etm"))

record("finegray_mgus2", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1)); d$event <- factor(d$ev,0:2,c('censor','pcm','death'))",
  call = "x <- model.matrix(~age+sex+mspike, d); ok <- complete.cases(d[,c('age','sex','mspike')])\nf <- crr(d$etime[ok], d$ev[ok], x[,-1], failcode=1)\ns <- summary(f)\npr <- predict(f, rbind(c(60,0,1),c(75,1,2)))\nat <- t(sapply(c(60,120,240),function(t) pr[max(which(pr[,1]<=t)),]))",
  read_off = "list(n=f$n, coef=s$coef, conf.int=s$conf.int, loglik=f$loglik, loglik_null=f$loglik.null, cif_pred=at)",
  note = "crr; conf.int is for exp(coef); SE is the Fine-Gray sandwich",
  packages = c("survival", "cmprsk"))

record("finegray_mgus2_survival", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1)); d$event <- factor(d$ev,0:2,c('censor','pcm','death'))",
  call = "d2 <- subset(d, !is.na(mspike)); d2$id <- seq_len(nrow(d2)); fg <- finegray(Surv(etime,event)~., data=d2[,c('etime','event','age','sex','mspike','id')], etype='pcm', id=id)\nf <- coxph(Surv(fgstart,fgstop,fgstatus)~age+sex+mspike, data=fg, weights=fgwt, ties='breslow', cluster=id)\nfe <- coxph(Surv(fgstart,fgstop,fgstatus)~age+sex+mspike, data=fg, weights=fgwt, cluster=id)",
  read_off = "list(rows=nrow(fg), breslow=cox_out(f), efron=cox_out(fe))",
  note = NULL,
  packages = c("survival"))

record("finegray_mgus2_death", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1)); d$event <- factor(d$ev,0:2,c('censor','pcm','death'))",
  call = "x <- model.matrix(~age+sex, d)\nf <- crr(d$etime, d$ev, x[,-1], failcode=2)\ns <- summary(f)",
  read_off = "list(coef=s$coef, conf.int=s$conf.int, loglik=f$loglik)",
  note = NULL,
  packages = c("survival", "cmprsk"))

record("aj_bmtKM_group", "KMsurv::bmt",
  prep = "data(bmt, package='KMsurv'); d <- bmt; d$ev <- with(d, ifelse(d3==0,0,ifelse(d2==1,1,2))); d$event <- factor(d$ev,0:2,c('censor','relapse','trm'))",
  call = "fit <- survfit(Surv(t2,event)~group, data=d)\ns <- summary(fit,times=c(100,365,730,1000),extend=TRUE)",
  read_off = "list(states=fit$states, time=s$time, strata=as.character(s$strata), n_risk=s$n.risk, pstate=unname(s$pstate), std_err=unname(s$std.err), lower=unname(s$lower), upper=unname(s$upper))",
  note = "event: relapse (d2==1) else treatment-related mortality; group 1 ALL, 2 AML low risk, 3 AML high risk",
  packages = c("survival", "KMsurv"))

record("gray_bmtKM_group", "KMsurv::bmt",
  prep = "data(bmt, package='KMsurv'); d <- bmt; d$ev <- with(d, ifelse(d3==0,0,ifelse(d2==1,1,2))); d$event <- factor(d$ev,0:2,c('censor','relapse','trm'))",
  call = "ci <- cuminc(d$t2, d$ev, d$group)\ntp <- timepoints(ci,times=c(100,365,730,1000))\nci1 <- cuminc(d$t2, d$ev, d$group, rho=1)",
  read_off = "list(est=tp$est, var=tp$var, gray_rho0=ci$Tests, gray_rho1=ci1$Tests)",
  note = NULL,
  packages = c("survival", "cmprsk", "KMsurv"))

record("gray_bmtKM_strat", "KMsurv::bmt",
  prep = "data(bmt, package='KMsurv'); d <- bmt; d$ev <- with(d, ifelse(d3==0,0,ifelse(d2==1,1,2))); d$event <- factor(d$ev,0:2,c('censor','relapse','trm'))",
  call = "ci <- cuminc(d$t2, d$ev, d$group, strata=d$z10)",
  read_off = "list(gray=ci$Tests)",
  note = "stratified by methotrexate z10",
  packages = c("survival", "cmprsk", "KMsurv"))

record("finegray_bmtKM", "KMsurv::bmt",
  prep = "data(bmt, package='KMsurv'); d <- bmt; d$ev <- with(d, ifelse(d3==0,0,ifelse(d2==1,1,2))); d$event <- factor(d$ev,0:2,c('censor','relapse','trm'))",
  call = "x <- cbind(aml_low=as.integer(d$group==2), aml_high=as.integer(d$group==3), fab=d$z8)\nf <- crr(d$t2, d$ev, x, failcode=1); s <- summary(f)\nf2 <- crr(d$t2, d$ev, x, failcode=2); s2 <- summary(f2)",
  read_off = "list(relapse=list(coef=s$coef,loglik=f$loglik), trm=list(coef=s2$coef,loglik=f2$loglik))",
  note = NULL,
  packages = c("survival", "cmprsk", "KMsurv"))

record("aj_ebmt2_causes", "mstate::ebmt2",
  prep = "data(ebmt2, package='mstate'); d <- ebmt2; d$event <- factor(d$status, 0:6)",
  call = "fit <- survfit(Surv(time,event)~1, data=d)\ns <- summary(fit,times=c(6,12,36,60,120),extend=TRUE)\nci <- cmprsk::cuminc(d$time,d$status,d$match); tt<-ci$Tests",
  read_off = "list(states=fit$states, cod_levels=levels(d$cod), time=s$time, pstate=unname(s$pstate), std_err=unname(s$std.err), gray_by_match=tt)",
  note = "6 causes of death after HSCT, n=8966; months",
  packages = c("survival", "mstate", "cmprsk"))

record("aj_aidssi", "mstate::aidssi",
  prep = "data(aidssi, package='mstate'); d <- aidssi",
  call = "ci <- cuminc(d$time, d$status, d$ccr5)\ntp <- timepoints(ci,c(3,5,7,10,12))\nok <- !is.na(d$ccr5); f <- crr(d$time[ok], d$status[ok], cbind(WM=as.integer(d$ccr5[ok]=='WM')), failcode=1)",
  read_off = "list(est=tp$est,var=tp$var,gray=ci$Tests, finegray=summary(f)$coef)",
  note = NULL,
  packages = c("survival", "cmprsk", "mstate"))

record("rmtl_mgus2", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1)); d$event <- factor(d$ev,0:2,c('censor','pcm','death'))",
  call = "fit <- survfit(Surv(etime,event)~sex, data=d)\nt <- summary(fit, rmean=120)$table",
  read_off = "t",
  note = "restricted mean time in state to 120 months (time lost by cause)",
  packages = c("survival"))

finish("expected/competing_risks.json", "Cumulative incidence, Gray, Fine-Gray, restricted mean time lost", "competing_risks.R")
