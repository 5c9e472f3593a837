# Relative survival: expected survival, net survival, crude probabilities of death: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript relative_survival.R writes expected/relative_survival.json; needs the packages named in each record.
source("record.R")

record("rssurv_rdata_pohar-perme", "relsurv::rdata",
  prep = "data(rdata, package='relsurv'); data(slopop, package='relsurv'); d <- rdata; d$agedays <- d$age*365.241
g <- function(f,tt) { s <- summary(f,times=tt,extend=TRUE); list(strata=as.character(s$strata), time=I(s$time), n_risk=I(s$n.risk), surv=I(s$surv), std_err=I(s$std.err), lower=I(s$lower), upper=I(s$upper)) }",
  call = "f <- rs.surv(Surv(time,cens)~1, rmap=list(age=agedays), data=d, ratetable=slopop, method='pohar-perme', conf.type='log')
f2 <- rs.surv(Surv(time,cens)~sex, rmap=list(age=agedays), data=d, ratetable=slopop, method='pohar-perme', conf.type='log')",
  read_off = "list(n=nrow(d), all=g(f,365.241*c(1,2,3,5,8,10)), by_sex=g(f2,365.241*c(1,3,5,10)))",
  note = "time in days; year = date of diagnosis (Date); sex 1=male 2=female; exact evaluation at event/censoring times (relsurv default precision=1 day for pohar-perme integration)",
  packages = c("survival", "relsurv"))

record("rssurv_rdata_ederer1", "relsurv::rdata",
  prep = "data(rdata, package='relsurv'); data(slopop, package='relsurv'); d <- rdata; d$agedays <- d$age*365.241
g <- function(f,tt) { s <- summary(f,times=tt,extend=TRUE); list(strata=as.character(s$strata), time=I(s$time), n_risk=I(s$n.risk), surv=I(s$surv), std_err=I(s$std.err), lower=I(s$lower), upper=I(s$upper)) }",
  call = "f <- rs.surv(Surv(time,cens)~1, rmap=list(age=agedays), data=d, ratetable=slopop, method='ederer1', conf.type='log')
f2 <- rs.surv(Surv(time,cens)~sex, rmap=list(age=agedays), data=d, ratetable=slopop, method='ederer1', conf.type='log')",
  read_off = "list(n=nrow(d), all=g(f,365.241*c(1,2,3,5,8,10)), by_sex=g(f2,365.241*c(1,3,5,10)))",
  note = "time in days; year = date of diagnosis (Date); sex 1=male 2=female; exact evaluation at event/censoring times (relsurv default precision=1 day for pohar-perme integration)",
  packages = c("survival", "relsurv"))

record("rssurv_rdata_ederer2", "relsurv::rdata",
  prep = "data(rdata, package='relsurv'); data(slopop, package='relsurv'); d <- rdata; d$agedays <- d$age*365.241
g <- function(f,tt) { s <- summary(f,times=tt,extend=TRUE); list(strata=as.character(s$strata), time=I(s$time), n_risk=I(s$n.risk), surv=I(s$surv), std_err=I(s$std.err), lower=I(s$lower), upper=I(s$upper)) }",
  call = "f <- rs.surv(Surv(time,cens)~1, rmap=list(age=agedays), data=d, ratetable=slopop, method='ederer2', conf.type='log')
f2 <- rs.surv(Surv(time,cens)~sex, rmap=list(age=agedays), data=d, ratetable=slopop, method='ederer2', conf.type='log')",
  read_off = "list(n=nrow(d), all=g(f,365.241*c(1,2,3,5,8,10)), by_sex=g(f2,365.241*c(1,3,5,10)))",
  note = "time in days; year = date of diagnosis (Date); sex 1=male 2=female; exact evaluation at event/censoring times (relsurv default precision=1 day for pohar-perme integration)",
  packages = c("survival", "relsurv"))

record("rssurv_rdata_hakulinen", "relsurv::rdata",
  prep = "data(rdata, package='relsurv'); data(slopop, package='relsurv'); d <- rdata; d$agedays <- d$age*365.241
g <- function(f,tt) { s <- summary(f,times=tt,extend=TRUE); list(strata=as.character(s$strata), time=I(s$time), n_risk=I(s$n.risk), surv=I(s$surv), std_err=I(s$std.err), lower=I(s$lower), upper=I(s$upper)) }",
  call = "f <- rs.surv(Surv(time,cens)~1, rmap=list(age=agedays), data=d, ratetable=slopop, method='hakulinen', conf.type='log')
f2 <- rs.surv(Surv(time,cens)~sex, rmap=list(age=agedays), data=d, ratetable=slopop, method='hakulinen', conf.type='log')",
  read_off = "list(n=nrow(d), all=g(f,365.241*c(1,2,3,5,8,10)), by_sex=g(f2,365.241*c(1,3,5,10)))",
  note = "time in days; year = date of diagnosis (Date); sex 1=male 2=female; exact evaluation at event/censoring times (relsurv default precision=1 day for pohar-perme integration)",
  packages = c("survival", "relsurv"))

record("survexp_slopop_rdata", "relsurv::rdata",
  prep = "data(rdata, package='relsurv'); data(slopop, package='relsurv'); d <- rdata; d$agedays <- d$age*365.241",
  call = "e <- survexp(~1, data=d, rmap=list(age=agedays, sex=sex, year=year), ratetable=slopop, times=365.241*c(1,2,3,5,10), method='ederer')
eh <- survexp(time~1, data=d, rmap=list(age=agedays, sex=sex, year=year), ratetable=slopop, times=365.241*c(1,2,3,5,10), method='hakulinen')
ec <- survexp(time~1, data=d, rmap=list(age=agedays, sex=sex, year=year), ratetable=slopop, times=365.241*c(1,2,3,5,10), method='conditional')
ei <- survexp(time~1, data=d, rmap=list(age=agedays, sex=sex, year=year), ratetable=slopop, method='individual.s')",
  read_off = "list(ederer1=I(e$surv), hakulinen_observed_time_NAIVE=I(eh$surv), conditional_ederer2=I(ec$surv), individual_first10=I(unname(ei)[1:10]), expected_deaths=sum(-log(ei)), observed=sum(d$cens))",
  note = "expected survival of the cohort. hakulinen_observed_time_NAIVE feeds the observed time (also for deaths) instead of the potential follow-up: NOT a Hakulinen reference; use rssurv_rdata_hakulinen for that",
  packages = c("survival", "relsurv"))

record("rsadd_rdata", "relsurv::rdata",
  prep = "data(rdata, package='relsurv'); data(slopop, package='relsurv'); d <- rdata; d$agedays <- d$age*365.241",
  call = "f <- rsadd(Surv(time,cens)~sex+as.factor(agegr), rmap=list(age=agedays), data=d, ratetable=slopop, int=5, method='glm.bin')
fp <- rsadd(Surv(time,cens)~sex+as.factor(agegr), rmap=list(age=agedays), data=d, ratetable=slopop, int=5, method='glm.poi')
fm <- rsadd(Surv(time,cens)~sex+as.factor(agegr), rmap=list(age=agedays), data=d, ratetable=slopop, int=5, method='max.lik')
fe <- rsadd(Surv(time,cens)~sex+as.factor(agegr), rmap=list(age=agedays), data=d, ratetable=slopop, int=5, method='EM', bwin=50)",
  read_off = "lapply(list(glm_bin=f,glm_poisson=fp,maxlik=fm,EM=fe),function(z) if(inherits(z,'glm')) list(coef=coef(z), se=setNames(sqrt(diag(chol2inv(z$qr$qr[seq_along(coef(z)),seq_along(coef(z))]))),names(coef(z)))) else list(coef=z$coef, se=if(is.null(z$var)) NULL else sqrt(diag(as.matrix(z$var)))))",
  note = "additive excess hazard regression; 5 yearly intervals",
  packages = c("survival", "relsurv"))

record("rsdiff_rdata", "relsurv::rdata",
  prep = "data(rdata, package='relsurv'); data(slopop, package='relsurv'); d <- rdata; d$agedays <- d$age*365.241",
  call = "f <- rs.diff(Surv(time,cens)~sex, rmap=list(age=agedays), data=d, ratetable=slopop)",
  read_off = "list(zh=f$zh, cov.zh=f$cov.zh, test.stat=f$test.stat, p=f$p.value, df=f$df)",
  note = "log-rank type test of net survival (Graffeo et al. 2016)",
  packages = c("survival", "relsurv"))

record("cmprel_rdata", "relsurv::rdata",
  prep = "data(rdata, package='relsurv'); data(slopop, package='relsurv'); d <- rdata; d$agedays <- d$age*365.241",
  call = "f <- cmp.rel(Surv(time,cens)~1, rmap=list(age=agedays), data=d, ratetable=slopop, tau=3652.41)
s <- summary(f,times=c(1,3,5,10),scale=365.241)",
  read_off = "list(est=s$est, var=s$var)",
  note = "crude probability of death: cause of interest (disease) vs population",
  packages = c("survival", "relsurv"))

record("rssurv_mgus2_us_pohar-perme", "survival::mgus2",
  prep = "d <- subset(survival::mgus2, futime>0); d$entry <- as.Date(paste0(d$dxyr,'-07-01')); d$ti <- d$futime*365.25/12; d$agedays <- d$age*365.25; d$sexr <- ifelse(d$sex=='F','female','male')
g <- function(f,tt) { s <- summary(f,times=tt,extend=TRUE); list(strata=as.character(s$strata), time=I(s$time), n_risk=I(s$n.risk), surv=I(s$surv), std_err=I(s$std.err), lower=I(s$lower), upper=I(s$upper)) }",
  call = "f <- rs.surv(Surv(ti,death)~1, rmap=list(age=agedays, sex=sexr, year=entry), data=d, ratetable=survexp.us, method='pohar-perme', conf.type='log')",
  read_off = "g(f,365.241*c(1,2,3,5,10,15))",
  note = "Entry date set to 1 July of dxyr; days=months*365.25/12; age in days=age*365.25",
  packages = c("survival", "relsurv"))

record("rssurv_mgus2_us_ederer1", "survival::mgus2",
  prep = "d <- subset(survival::mgus2, futime>0); d$entry <- as.Date(paste0(d$dxyr,'-07-01')); d$ti <- d$futime*365.25/12; d$agedays <- d$age*365.25; d$sexr <- ifelse(d$sex=='F','female','male')
g <- function(f,tt) { s <- summary(f,times=tt,extend=TRUE); list(strata=as.character(s$strata), time=I(s$time), n_risk=I(s$n.risk), surv=I(s$surv), std_err=I(s$std.err), lower=I(s$lower), upper=I(s$upper)) }",
  call = "f <- rs.surv(Surv(ti,death)~1, rmap=list(age=agedays, sex=sexr, year=entry), data=d, ratetable=survexp.us, method='ederer1', conf.type='log')",
  read_off = "g(f,365.241*c(1,2,3,5,10,15))",
  note = "Entry date set to 1 July of dxyr; days=months*365.25/12; age in days=age*365.25",
  packages = c("survival", "relsurv"))

record("rssurv_mgus2_us_ederer2", "survival::mgus2",
  prep = "d <- subset(survival::mgus2, futime>0); d$entry <- as.Date(paste0(d$dxyr,'-07-01')); d$ti <- d$futime*365.25/12; d$agedays <- d$age*365.25; d$sexr <- ifelse(d$sex=='F','female','male')
g <- function(f,tt) { s <- summary(f,times=tt,extend=TRUE); list(strata=as.character(s$strata), time=I(s$time), n_risk=I(s$n.risk), surv=I(s$surv), std_err=I(s$std.err), lower=I(s$lower), upper=I(s$upper)) }",
  call = "f <- rs.surv(Surv(ti,death)~1, rmap=list(age=agedays, sex=sexr, year=entry), data=d, ratetable=survexp.us, method='ederer2', conf.type='log')",
  read_off = "g(f,365.241*c(1,2,3,5,10,15))",
  note = "Entry date set to 1 July of dxyr; days=months*365.25/12; age in days=age*365.25",
  packages = c("survival", "relsurv"))

record("survexp_us_mgus2", "survival::mgus2",
  prep = "d <- subset(survival::mgus2, futime>0); d$entry <- as.Date(paste0(d$dxyr,'-07-01')); d$ti <- d$futime*365.25/12; d$agedays <- d$age*365.25; d$sexr <- ifelse(d$sex=='F','female','male')",
  call = "tt <- 365.25*c(1,5,10,15)
e <- survexp(~1, data=d, rmap=list(age=agedays, sex=sexr, year=entry), ratetable=survexp.us, times=tt)
eh <- survexp(ti~1, data=d, rmap=list(age=agedays, sex=sexr, year=entry), ratetable=survexp.us, times=tt, method='hakulinen')
ec <- survexp(ti~1, data=d, rmap=list(age=agedays, sex=sexr, year=entry), ratetable=survexp.us, times=tt, method='conditional')
ei <- survexp(ti~1, data=d, rmap=list(age=agedays, sex=sexr, year=entry), ratetable=survexp.us, method='individual.h')
py <- pyears(Surv(ti,death)~sex, data=d, rmap=list(age=agedays, sex=sexr, year=entry), ratetable=survexp.us, scale=365.25)",
  read_off = "list(km=I(summary(survfit(Surv(ti,death)~1,data=d),times=tt)$surv), ederer1=I(e$surv), hakulinen_observed_time_NAIVE=I(eh$surv), conditional=I(ec$surv), cumhaz_first10=I(unname(ei)[1:10]), O=sum(d$death), E=sum(ei), SMR=sum(d$death)/sum(ei), pyears=I(as.vector(py$pyears)), expected_by_sex=I(as.vector(py$expected)), event_by_sex=I(as.vector(py$event)))",
  note = "hakulinen_observed_time_NAIVE feeds observed time also for deaths, not a Hakulinen reference. survexp interpolates nothing: piecewise constant daily rates by single year of age and calendar year",
  packages = c("survival"))

record("survexp_us_point_values", "survival::survexp.us",
  prep = "u <- survival::survexp.us",
  call = "q <- function(a,s,y) unname(u[as.character(a),s,as.character(y)])
r <- data.frame(age=c(0,1,40,65,80,95,65,80),sex=c('male','male','male','male','male','male','female','female'),year=c(1940,1950,1980,2000,2010,2014,2000,2010)); r$rate_per_day <- mapply(q,r$age,r$sex,r$year); r$q_year <- 1-exp(-365.241*r$rate_per_day)
lt <- exp(-365.241*cumsum(u[,'male','2000'])); e0 <- sum(c(1,lt))-0.5",
  read_off = "list(points=r, approx_e0_male_2000=e0, dims=I(dim(u)), dimnames_sex=I(dimnames(u)[[2]]))",
  note = "spot checks of table orientation",
  packages = c("survival"))

finish("expected/relative_survival.json", "Relative survival: expected survival, net survival, crude probabilities of death", "relative_survival.R")
