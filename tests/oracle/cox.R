# Cox models: Efron/Breslow/exact, robust, strata, weights, left truncation, time-dependent, residuals, prediction: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript cox.R writes expected/cox.json; needs the packages named in each record.
source("record.R")

record("cox_lung_efron", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d, ties='efron')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_veteran_efron", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "f <- coxph(Surv(time,status)~trt+celltype+karno+diagtime+age+prior, data=d, ties='efron')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_lung_breslow", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d, ties='breslow')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_veteran_breslow", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "f <- coxph(Surv(time,status)~trt+celltype+karno+diagtime+age+prior, data=d, ties='breslow')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_lung_exact", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d, ties='exact')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_veteran_exact", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "f <- coxph(Surv(time,status)~trt+celltype+karno+diagtime+age+prior, data=d, ties='exact')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_lung_cluster_inst_efron", "survival::lung",
  prep = "d <- subset(survival::lung, !is.na(inst) & !is.na(ph.ecog))",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d, cluster=inst, ties='efron')",
  read_off = "cox_out(f)",
  note = "coefficients has 'se(coef)' (naive) and 'robust se' (grouped jackknife, no small-sample factor)",
  packages = c("survival"))

record("cox_lung_strata_efron", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+ph.ecog+strata(sex), data=d, ties='efron')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_lung_weights_efron", "survival::lung",
  prep = "d <- survival::lung; d$w <- d$age/mean(d$age); d$id <- seq_len(nrow(d))",
  call = "f <- coxph(Surv(time,status==2)~sex+ph.ecog, data=d, weights=w, robust=TRUE, id=id, ties='efron')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_heart_countingprocess_efron", "survival::heart",
  prep = "d <- survival::heart",
  call = "f <- coxph(Surv(start,stop,event)~age+year+surgery+transplant, data=d, ties='efron')",
  read_off = "cox_out(f)",
  note = "time-dependent transplant (Crowley & Hu). transplant is a factor in R: coefficient transplant1",
  packages = c("survival"))

record("cox_lung_cluster_inst_breslow", "survival::lung",
  prep = "d <- subset(survival::lung, !is.na(inst) & !is.na(ph.ecog))",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d, cluster=inst, ties='breslow')",
  read_off = "cox_out(f)",
  note = "coefficients has 'se(coef)' (naive) and 'robust se' (grouped jackknife, no small-sample factor)",
  packages = c("survival"))

record("cox_lung_strata_breslow", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+ph.ecog+strata(sex), data=d, ties='breslow')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_lung_weights_breslow", "survival::lung",
  prep = "d <- survival::lung; d$w <- d$age/mean(d$age); d$id <- seq_len(nrow(d))",
  call = "f <- coxph(Surv(time,status==2)~sex+ph.ecog, data=d, weights=w, robust=TRUE, id=id, ties='breslow')",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_heart_countingprocess_breslow", "survival::heart",
  prep = "d <- survival::heart",
  call = "f <- coxph(Surv(start,stop,event)~age+year+surgery+transplant, data=d, ties='breslow')",
  read_off = "cox_out(f)",
  note = "time-dependent transplant (Crowley & Hu). transplant is a factor in R: coefficient transplant1",
  packages = c("survival"))

record("cox_lung_sex_ph", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~sex, data=d)",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_mgus_agescale", "survival::mgus",
  prep = "d <- subset(survival::mgus, !is.na(hgb)&!is.na(mspike)); d$a0 <- d$age; d$a1 <- d$age + d$futime/365.25",
  call = "f <- coxph(Surv(a0,a1,death)~sex+hgb+mspike, data=d)",
  read_off = "cox_out(f)",
  note = "age as time scale: left truncation at diagnosis age",
  packages = c("survival"))

record("cox_myeloma_lefttrunc", "survival::myeloma",
  prep = "d <- subset(survival::myeloma, futime>entry); d$decade <- (d$year-70)/10",
  call = "f <- coxph(Surv(entry,futime,death)~decade, data=d)\nfb <- coxph(Surv(entry,futime,death)~decade, data=d, ties='breslow')\nf0 <- coxph(Surv(futime,death)~decade, data=d)",
  read_off = "list(left_truncated_efron=cox_out(f), left_truncated_breslow=cox_out(fb), ignoring_entry=cox_out(f0))",
  note = NULL,
  packages = c("survival"))

record("cox_pbc_model", "survival::pbc",
  prep = "d <- survival::pbc",
  call = "f <- coxph(Surv(time,status==2)~age+edema+log(bili)+log(protime)+log(albumin), data=d)",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_gbsg", "survival::gbsg",
  prep = "d <- survival::gbsg",
  call = "f <- coxph(Surv(rfstime,status)~age+meno+size+factor(grade)+nodes+log1p(pgr)+log1p(er)+hormon, data=d)",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_flchain", "survival::flchain",
  prep = "d <- subset(survival::flchain, !is.na(creatinine))",
  call = "f <- coxph(Surv(futime,death)~age+sex+flc.grp+creatinine+mgus, data=d)",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_baseline_predict_lung", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex, data=d)\nfb <- coxph(Surv(time,status==2)~age+sex, data=d, ties='breslow')\nnd <- data.frame(age=c(50,60,70),sex=c(1,2,1))\ns <- survfit(f,newdata=nd,conf.type='log-log'); sb <- survfit(fb,newdata=nd,conf.type='log-log')\nbh <- basehaz(f,centered=FALSE)",
  read_off = "list(lp=predict(f,newdata=nd,type='lp',reference='zero'), efron=lapply(c(100,365,700),function(t){z<-summary(s,times=t); list(time=t,surv=I(as.vector(z$surv)),se=I(as.vector(z$std.err)),lower=I(as.vector(z$lower)),upper=I(as.vector(z$upper)))}), breslow=lapply(c(100,365,700),function(t){z<-summary(sb,times=t); list(time=t,surv=I(as.vector(z$surv)),se=I(as.vector(z$std.err)))}), basehaz_uncentered=bh[bh$time %in% c(61,183,363,707),])",
  note = NULL,
  packages = c("survival"))

record("cox_residuals_lung", "survival::lung",
  prep = "d <- subset(survival::lung, !is.na(ph.ecog))",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d)",
  read_off = "list(martingale_first10=I(unname(resid(f,'martingale'))[1:10]), deviance_first10=I(unname(resid(f,'deviance'))[1:10]), score_colsums=colSums(resid(f,'score')), score_first5=unname(resid(f,'score')[1:5,]), dfbeta_first5=unname(resid(f,'dfbeta')[1:5,]), schoenfeld_first5=unname(resid(f,'schoenfeld')[1:5,]), scaledsch_first5=unname(resid(f,'scaledsch')[1:5,]))",
  note = NULL,
  packages = c("survival"))

record("cox_frailty_gamma_lung", "survival::lung",
  prep = "d <- subset(survival::lung, !is.na(inst)&!is.na(ph.ecog))",
  call = "f <- coxph(Surv(time,status==2)~sex+ph.ecog+frailty(inst,distribution='gaussian'), data=d)",
  read_off = "list(coef=I(unname(coef(f))), theta=f$history[[1]]$theta, loglik=I(f$loglik), df=I(f$df))",
  note = "gaussian shared frailty, REML",
  packages = c("survival"))

record("cox_ridge_pbc", "survival::pbc",
  prep = "d <- na.omit(survival::pbc[,c(\"time\",\"status\",\"age\",\"bili\",\"albumin\",\"protime\")])",
  call = "f <- coxph(Surv(time,status==2)~ridge(age,bili,albumin,protime,theta=10,scale=FALSE), data=d)",
  read_off = "list(coef=I(unname(coef(f))), loglik=I(f$loglik), df=f$df)",
  note = "penalty theta/2*sum(beta^2), theta=10, unscaled",
  packages = c("survival"))

record("cox_stepfunction_veteran", "survival::veteran",
  prep = "d <- survSplit(Surv(time,status)~., data=survival::veteran, cut=c(90,180), episode='tgroup', id='id')",
  call = "f <- coxph(Surv(tstart,time,status)~trt+prior+karno:strata(tgroup), data=d)",
  read_off = "cox_out(f)",
  note = NULL,
  packages = c("survival"))

record("cox_competing_cause_specific_mgus2", "survival::mgus2",
  prep = "d <- survival::mgus2; d$etime <- with(d, ifelse(pstat==0,futime,ptime)); d$ev <- with(d, ifelse(pstat==0,2*death,1))",
  call = "f1 <- coxph(Surv(etime,ev==1)~age+sex, data=d)\nf2 <- coxph(Surv(etime,ev==2)~age+sex, data=d)",
  read_off = "list(pcm=cox_out(f1), death=cox_out(f2))",
  note = NULL,
  packages = c("survival"))

record("aareg_lung", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- aareg(Surv(time,status==2)~age+sex+ph.ecog, data=d, nmin=1)\ns <- summary(f)",
  read_off = "list(table=s$table, chisq=s$chisq)",
  note = "Aalen additive hazards (survival::aareg)",
  packages = c("survival"))

finish("expected/cox.json", "Cox models: Efron/Breslow/exact, robust, strata, weights, left truncation, time-dependent, residuals, prediction", "cox.R")
