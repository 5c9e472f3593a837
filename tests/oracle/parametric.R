# Parametric and Royston-Parmar models: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript parametric.R writes expected/parametric.json; needs the packages named in each record.
source("record.R")

record("survreg_lung_exponential", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='exponential')\nf <- survreg(Surv(time,st)~x, data=d, dist='exponential')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_lung_weibull", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='weibull')\nf <- survreg(Surv(time,st)~x, data=d, dist='weibull')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_lung_lognormal", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='lognormal')\nf <- survreg(Surv(time,st)~x, data=d, dist='lognormal')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_lung_loglogistic", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='loglogistic')\nf <- survreg(Surv(time,st)~x, data=d, dist='loglogistic')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("flexsurv_lung_exp", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='exp')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='exp')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_lung_weibull", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='weibull')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='weibull')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_lung_weibullPH", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='weibullPH')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='weibullPH')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_lung_lnorm", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='lnorm')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='lnorm')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_lung_llogis", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='llogis')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='llogis')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_lung_gompertz", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gompertz')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gompertz')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_lung_gamma", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gamma')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gamma')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_lung_gengamma", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gengamma')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gengamma')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("rp_lung_hazard_k0", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=0, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_lung_hazard_k1", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_lung_odds_k1", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='odds')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_lung_normal_k1", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='normal')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_lung_hazard_k2", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_lung_odds_k2", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='odds')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_lung_normal_k2", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='normal')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_lung_hazard_k3", "survival::lung",
  prep = "d <- survival::lung; d$st <- as.integer(d$status==2); d$x <- as.integer(d$sex==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=3, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("survreg_veteran_exponential", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='exponential')\nf <- survreg(Surv(time,st)~x, data=d, dist='exponential')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_veteran_weibull", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='weibull')\nf <- survreg(Surv(time,st)~x, data=d, dist='weibull')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_veteran_lognormal", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='lognormal')\nf <- survreg(Surv(time,st)~x, data=d, dist='lognormal')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_veteran_loglogistic", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='loglogistic')\nf <- survreg(Surv(time,st)~x, data=d, dist='loglogistic')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("flexsurv_veteran_exp", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='exp')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='exp')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_veteran_weibull", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='weibull')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='weibull')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_veteran_weibullPH", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='weibullPH')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='weibullPH')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_veteran_lnorm", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='lnorm')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='lnorm')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_veteran_llogis", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='llogis')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='llogis')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_veteran_gompertz", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gompertz')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gompertz')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_veteran_gamma", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gamma')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gamma')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_veteran_gengamma", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gengamma')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gengamma')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("rp_veteran_hazard_k0", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=0, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_veteran_hazard_k1", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_veteran_odds_k1", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='odds')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_veteran_normal_k1", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='normal')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_veteran_hazard_k2", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_veteran_odds_k2", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='odds')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_veteran_normal_k2", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='normal')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_veteran_hazard_k3", "survival::veteran",
  prep = "d <- survival::veteran; d$st <- d$status; d$x <- as.integer(d$trt==2)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=3, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("survreg_mgus2_exponential", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='exponential')\nf <- survreg(Surv(time,st)~x, data=d, dist='exponential')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_mgus2_weibull", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='weibull')\nf <- survreg(Surv(time,st)~x, data=d, dist='weibull')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_mgus2_lognormal", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='lognormal')\nf <- survreg(Surv(time,st)~x, data=d, dist='lognormal')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_mgus2_loglogistic", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='loglogistic')\nf <- survreg(Surv(time,st)~x, data=d, dist='loglogistic')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("flexsurv_mgus2_exp", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='exp')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='exp')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_mgus2_weibull", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='weibull')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='weibull')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_mgus2_weibullPH", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='weibullPH')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='weibullPH')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_mgus2_lnorm", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='lnorm')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='lnorm')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_mgus2_llogis", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='llogis')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='llogis')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_mgus2_gompertz", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gompertz')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gompertz')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_mgus2_gamma", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gamma')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gamma')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_mgus2_gengamma", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gengamma')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gengamma')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("rp_mgus2_hazard_k0", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=0, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_mgus2_hazard_k1", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_mgus2_odds_k1", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='odds')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_mgus2_normal_k1", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='normal')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_mgus2_hazard_k2", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_mgus2_odds_k2", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='odds')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_mgus2_normal_k2", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='normal')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_mgus2_hazard_k3", "survival::mgus2",
  prep = "d <- survival::mgus2; d$st <- d$death; d$x <- as.integer(d$sex=='M'); d$time <- d$futime; d <- subset(d,time>0)",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=3, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("survreg_gbsg_exponential", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='exponential')\nf <- survreg(Surv(time,st)~x, data=d, dist='exponential')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_gbsg_weibull", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='weibull')\nf <- survreg(Surv(time,st)~x, data=d, dist='weibull')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_gbsg_lognormal", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='lognormal')\nf <- survreg(Surv(time,st)~x, data=d, dist='lognormal')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("survreg_gbsg_loglogistic", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- survreg(Surv(time,st)~1, data=d, dist='loglogistic')\nf <- survreg(Surv(time,st)~x, data=d, dist='loglogistic')",
  read_off = "list(null=list(coef=coef(f0),scale=f0$scale,loglik=f0$loglik[2],var=f0$var), x=list(coef=coef(f),scale=f$scale,loglik=f$loglik[2],var=f$var,AIC=-2*f$loglik[2]+2*f$df), q=predict(f,newdata=data.frame(x=0:1),type=\"quantile\",p=c(.1,.5,.9)))",
  note = "survreg: log-location-scale; loglik is on the time scale",
  packages = c("survival"))

record("flexsurv_gbsg_exp", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='exp')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='exp')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_gbsg_weibull", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='weibull')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='weibull')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_gbsg_weibullPH", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='weibullPH')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='weibullPH')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_gbsg_lnorm", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='lnorm')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='lnorm')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_gbsg_llogis", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='llogis')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='llogis')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_gbsg_gompertz", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gompertz')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gompertz')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_gbsg_gamma", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gamma')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gamma')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("flexsurv_gbsg_gengamma", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f0 <- flexsurvreg(Surv(time,st)~1, data=d, dist='gengamma')\nf <- flexsurvreg(Surv(time,st)~x, data=d, dist='gengamma')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nrm <- summary(f,newdata=data.frame(x=0:1),type='rmst',t=tt[3],ci=FALSE)\nmd <- summary(f,newdata=data.frame(x=0:1),type='median',ci=FALSE)",
  read_off = "list(null=list(res=f0$res,loglik=f0$loglik,AIC=f0$AIC), x=list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), vcov_t=f$cov, t=tt, surv=lapply(s,as.data.frame), rmst=lapply(rm,as.data.frame), median=lapply(md,as.data.frame))",
  note = "flexsurv parameterisation; res has est and 95% CI (natural scale), res.t on the estimation scale",
  packages = c("survival", "flexsurv"))

record("rp_gbsg_hazard_k0", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=0, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_gbsg_hazard_k1", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_gbsg_odds_k1", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='odds')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_gbsg_normal_k1", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=1, scale='normal')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_gbsg_hazard_k2", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_gbsg_odds_k2", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='odds')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_gbsg_normal_k2", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=2, scale='normal')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("rp_gbsg_hazard_k3", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25; d$st <- d$status; d$x <- d$hormon",
  call = "f <- flexsurvspline(Surv(time,st)~x, data=d, k=3, scale='hazard')\ntt <- as.numeric(quantile(d$time,c(.25,.5,.75)))\ns <- summary(f,newdata=data.frame(x=0:1),t=tt,ci=FALSE)\nh <- summary(f,newdata=data.frame(x=0:1),type='hazard',t=tt,ci=FALSE)",
  read_off = "c(list(coefs=f$coefficients, res=f$res, res_t=f$res.t, loglik=f$loglik, AIC=f$AIC, npars=f$npars), list(knots=unname(f$knots), vcov=f$cov, t=tt, surv=lapply(s,as.data.frame), hazard=lapply(h,as.data.frame)))",
  note = "Royston-Parmar natural cubic spline in log time; knots = boundary at min/max log event time plus quantiles of log event times",
  packages = c("survival", "flexsurv"))

record("flexsurv_myeloma_lefttrunc_weibull", "survival::myeloma",
  prep = "d <- subset(survival::myeloma, futime>entry); d$x <- (d$year-70)/10; d$entry <- d$entry/365.25; d$futime <- d$futime/365.25",
  call = "f <- flexsurvreg(Surv(entry,futime,death)~x, data=d, dist='weibull')\ng <- flexsurvreg(Surv(entry,futime,death)~x, data=d, dist='gompertz')\nh <- flexsurvspline(Surv(entry,futime,death)~x, data=d, k=2)",
  read_off = "list(weibull=list(res=f$res,loglik=f$loglik,AIC=f$AIC), gompertz=list(res=g$res,loglik=g$loglik,AIC=g$AIC), rp_k2=list(res=h$res,loglik=h$loglik,knots=unname(h$knots)))",
  note = "delayed entry; years",
  packages = c("survival", "flexsurv"))

record("flexsurv_gbsg_multicov", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25",
  call = "f <- flexsurvspline(Surv(time,status)~age+hormon+nodes+log1p(pgr), data=d, k=2)\ng <- flexsurvreg(Surv(time,status)~age+hormon+nodes+log1p(pgr), data=d, dist='gengamma')\nh <- flexsurvreg(Surv(time,status)~hormon+nodes, anc=list(shape=~hormon), data=d, dist='weibull')",
  read_off = "list(rp=list(res=f$res,loglik=f$loglik,AIC=f$AIC,knots=unname(f$knots)), gengamma=list(res=g$res,loglik=g$loglik,AIC=g$AIC), weibull_anc=list(res=h$res,loglik=h$loglik))",
  note = NULL,
  packages = c("survival", "flexsurv"))

record("stpm2_gbsg", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25",
  call = "f <- stpm2(Surv(time,status)~hormon, data=d, df=3)\nft <- stpm2(Surv(time,status)~hormon, data=d, df=3, tvc=list(hormon=2))\npr <- predict(f,newdata=data.frame(hormon=0:1,time=c(2,2)),type='surv',se.fit=TRUE)",
  read_off = "list(coef=coef(f), se=sqrt(diag(vcov(f))), loglik=as.numeric(logLik(f)), surv2y=as.data.frame(pr), tvc_loglik=as.numeric(logLik(ft)), tvc_coef=coef(ft))",
  note = "rstpm2 (independent code): nsx basis, so spline coefs differ from flexsurv; hormon, loglik and survival are comparable with flexsurvspline k=2",
  packages = c("survival", "bbmle", "rstpm2"))

finish("expected/parametric.json", "Parametric and Royston-Parmar models", "parametric.R")
