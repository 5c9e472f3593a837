# Kaplan-Meier, Nelson-Aalen, quantiles, left truncation: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript kaplan_meier.R writes expected/kaplan_meier.json; needs the packages named in each record.
source("record.R")

record("km_lung_log-log", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survfit(Surv(time, status==2)~1, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(50,100,200,300,365,500,700,900)), quantiles=quant(fit), n=fit$n, events=sum(fit$n.event))",
  note = NULL,
  packages = c("survival"))

record("km_lung_log", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survfit(Surv(time, status==2)~1, data=d, conf.type='log')",
  read_off = "list(at=km_at(fit,c(50,100,200,300,365,500,700,900)), quantiles=quant(fit), n=fit$n, events=sum(fit$n.event))",
  note = NULL,
  packages = c("survival"))

record("km_lung_plain", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survfit(Surv(time, status==2)~1, data=d, conf.type='plain')",
  read_off = "list(at=km_at(fit,c(50,100,200,300,365,500,700,900)), quantiles=quant(fit), n=fit$n, events=sum(fit$n.event))",
  note = NULL,
  packages = c("survival"))

record("km_lung_sex_loglog", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survfit(Surv(time, status==2)~sex, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(50,100,200,300,365,500,700)), quantiles=quant(fit), table=summary(fit)$table)",
  note = "std_err is Greenwood SE of S(t). std err of log S is std_err/surv.",
  packages = c("survival"))

record("km_lung_full_curve", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survfit(Surv(time, status==2)~1, data=d, conf.type='log-log')",
  read_off = "data.frame(time=fit$time,n_risk=fit$n.risk,n_event=fit$n.event,n_censor=fit$n.censor,surv=fit$surv,std_err_log=fit$std.err,lower=fit$lower,upper=fit$upper,cumhaz=fit$cumhaz,std_chaz=fit$std.chaz)",
  note = NULL,
  packages = c("survival"))

record("km_veteran_trt", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "fit <- survfit(Surv(time, status)~trt, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(30,60,90,120,180,240,365)), quantiles=quant(fit))",
  note = NULL,
  packages = c("survival"))

record("km_veteran_celltype", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "fit <- survfit(Surv(time, status)~celltype, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(30,60,90,120,180,240,365)), quantiles=quant(fit))",
  note = NULL,
  packages = c("survival"))

record("km_mgus2_sex", "survival::mgus2",
  prep = "d <- survival::mgus2",
  call = "fit <- survfit(Surv(futime, death)~sex, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(12,60,120,180,240,360)), quantiles=quant(fit))",
  note = NULL,
  packages = c("survival"))

record("km_myeloid_trt", "survival::myeloid",
  prep = "d <- survival::myeloid",
  call = "fit <- survfit(Surv(futime, death)~trt, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(90,180,365,730,1095,1460)), quantiles=quant(fit))",
  note = NULL,
  packages = c("survival"))

record("km_flchain", "survival::flchain",
  prep = "d <- survival::flchain",
  call = "fit <- survfit(Surv(futime, death)~sex, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(365,1000,2000,3000,4000,5000)), quantiles=quant(fit,c(.1,.2,.25)))",
  note = "flchain has subjects with futime 0",
  packages = c("survival"))

record("km_myeloma_lefttrunc", "survival::myeloma",
  prep = "d <- subset(survival::myeloma, futime>entry)",
  call = "fit <- survfit(Surv(entry, futime, death)~1, data=d, conf.type='log-log')\nfit0 <- survfit(Surv(futime, death)~1, data=d, conf.type='log-log')",
  read_off = "list(n=nrow(d), n_entry_positive=sum(d$entry>0), left_truncated=list(at=km_at(fit,c(180,365,730,1095,1825,3650)), quantiles=quant(fit)), ignoring_entry=list(at=km_at(fit0,c(180,365,730,1095,1825,3650)), quantiles=quant(fit0)))",
  note = "Mayo myeloma 1947-1996: delayed entry (referral after diagnosis) is real. Ignoring entry biases survival upward.",
  packages = c("survival"))

record("km_rotterdam_rfs", "survival::rotterdam",
  prep = "d <- survival::rotterdam; d$rfs <- pmax(d$recur,d$death); d$rfstime <- with(d, ifelse(recur==1, rtime, dtime))",
  call = "fit <- survfit(Surv(rfstime, rfs)~hormon, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,365.25*c(1,2,3,5,7,10)), quantiles=quant(fit))",
  note = NULL,
  packages = c("survival"))

record("fleming_harrington_surv_lung", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit1 <- survfit(Surv(time, status==2)~1, data=d, stype=2, ctype=1)\nfit2 <- survfit(Surv(time, status==2)~1, data=d, stype=2, ctype=2)",
  read_off = "list(breslow_exp_minus_NA=km_at(fit1,c(100,365,700)), fleming_harrington_ties=km_at(fit2,c(100,365,700)), cumhaz1=summary(fit1,times=c(100,365,700))$cumhaz, cumhaz2=summary(fit2,times=c(100,365,700))$cumhaz)",
  note = NULL,
  packages = c("survival"))

record("reverse_km_followup_lung", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survfit(Surv(time, status==1)~1, data=d, conf.type='log-log')",
  read_off = "list(potential_followup=quant(fit))",
  note = "reverse Kaplan-Meier median follow-up",
  packages = c("survival"))

record("km_alloauto", "KMsurv::alloauto",
  prep = "data(alloauto, package='KMsurv'); d <- alloauto",
  call = "fit <- survfit(Surv(time, delta)~type, data=d, conf.type='log-log')",
  read_off = "list(at=km_at(fit,c(3,6,12,24,36)), quantiles=quant(fit))",
  note = NULL,
  packages = c("survival", "KMsurv"))

finish("expected/kaplan_meier.json", "Kaplan-Meier, Nelson-Aalen, quantiles, left truncation", "kaplan_meier.R")
