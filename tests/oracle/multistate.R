# Multistate models: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript multistate.R writes expected/multistate.json; needs the packages named in each record.
source("record.R")

record("mstate_ebmt3_events", "mstate::ebmt3",
  prep = "data(ebmt3, package='mstate'); tmat <- transMat(x=list(c(2,3),c(3),c()), names=c('Tx','PR','RelDeath'))\nebmt3$prtime <- ebmt3$prtime/365.25; ebmt3$rfstime <- ebmt3$rfstime/365.25\ncovs <- c('dissub','age','drmatch','tcd','prtime')\nmsb <- msprep(time=c(NA,'prtime','rfstime'), status=c(NA,'prstat','rfsstat'), data=ebmt3, trans=tmat, keep=covs)\nmsb <- expand.covs(msb, covs, append=TRUE, longnames=FALSE)",
  call = "ev <- events(msb)",
  read_off = "list(freq=unclass(ev$Frequencies), rows=nrow(msb))",
  note = NULL,
  packages = c("survival", "mstate"))

record("mstate_ebmt3_AJ", "mstate::ebmt3",
  prep = "data(ebmt3, package='mstate'); tmat <- transMat(x=list(c(2,3),c(3),c()), names=c('Tx','PR','RelDeath'))\nebmt3$prtime <- ebmt3$prtime/365.25; ebmt3$rfstime <- ebmt3$rfstime/365.25\ncovs <- c('dissub','age','drmatch','tcd','prtime')\nmsb <- msprep(time=c(NA,'prtime','rfstime'), status=c(NA,'prstat','rfsstat'), data=ebmt3, trans=tmat, keep=covs)\nmsb <- expand.covs(msb, covs, append=TRUE, longnames=FALSE)\ng <- function(p,tt) { z <- p[sapply(tt,function(t) max(which(p$time<=t))),]; rownames(z)<-NULL; z }",
  call = "c0 <- coxph(Surv(Tstart,Tstop,status)~strata(trans), data=msb, method='breslow')\nmf <- msfit(c0, trans=tmat, vartype='aalen', variance=TRUE)\np0 <- probtrans(mf, predt=0, method='aalen', variance=TRUE)\np05 <- probtrans(mf, predt=0.5, method='aalen')\nmfg <- msfit(c0, trans=tmat, vartype='greenwood'); pg <- probtrans(mfg, predt=0, method='greenwood')",
  read_off = "list(aalen_from0_state1=g(p0[[1]],c(.5,1,2,3,5)), aalen_from0_state2=g(p0[[2]],c(.5,1,2,3,5)), aalen_from05_state1=g(p05[[1]],c(1,2,5)), aalen_from05_state2=g(p05[[2]],c(1,2,5)), greenwood_from0_state1=g(pg[[1]],c(.5,1,2,3,5)), cumhaz=do.call(rbind,lapply(split(mf$Haz,mf$Haz$trans),function(h) h[sapply(c(.5,1,2,5),function(t) max(which(h$time<=t))),])))",
  note = "non-parametric Aalen-Johansen; years",
  packages = c("survival", "mstate"))

record("mstate_ebmt3_cox", "mstate::ebmt3",
  prep = "data(ebmt3, package='mstate'); tmat <- transMat(x=list(c(2,3),c(3),c()), names=c('Tx','PR','RelDeath'))\nebmt3$prtime <- ebmt3$prtime/365.25; ebmt3$rfstime <- ebmt3$rfstime/365.25\ncovs <- c('dissub','age','drmatch','tcd','prtime')\nmsb <- msprep(time=c(NA,'prtime','rfstime'), status=c(NA,'prstat','rfsstat'), data=ebmt3, trans=tmat, keep=covs)\nmsb <- expand.covs(msb, covs, append=TRUE, longnames=FALSE)\ng <- function(p,tt) { z <- p[sapply(tt,function(t) max(which(p$time<=t))),]; rownames(z)<-NULL; z }",
  call = "c1 <- coxph(Surv(Tstart,Tstop,status)~dissub1.1+dissub2.1+age1.1+age2.1+drmatch.1+tcd.1+dissub1.2+dissub2.2+age1.2+age2.2+drmatch.2+tcd.2+dissub1.3+dissub2.3+age1.3+age2.3+drmatch.3+tcd.3+strata(trans), data=msb, method='breslow')\nnd <- data.frame(dissub=rep(0,3),age=rep(0,3),drmatch=rep(0,3),tcd=rep(0,3),trans=1:3); nd$dissub <- factor(nd$dissub,levels=0:2,labels=levels(ebmt3$dissub)); nd$age <- factor(nd$age,levels=0:2,labels=levels(ebmt3$age)); nd$drmatch <- factor(nd$drmatch,levels=0:1,labels=levels(ebmt3$drmatch)); nd$tcd <- factor(nd$tcd,levels=0:1,labels=levels(ebmt3$tcd)); attr(nd,'trans') <- tmat; class(nd) <- c('msdata','data.frame'); nd <- expand.covs(nd, covs[1:4], longnames=FALSE); nd$strata <- 1:3\nmf <- msfit(c1, newdata=nd, trans=tmat)\np <- probtrans(mf, predt=0)",
  read_off = "list(cox=cox_out(c1), from0_state1=g(p[[1]],c(.5,1,2,5)), from0_state2=g(p[[2]],c(.5,1,2,5)))",
  note = "Putter, Fiocco, Geskus 2007 tutorial, patient A (reference levels)",
  packages = c("survival", "mstate"))

record("mstate_ebmt3_elos", "mstate::ebmt3",
  prep = "data(ebmt3, package='mstate'); tmat <- transMat(x=list(c(2,3),c(3),c()), names=c('Tx','PR','RelDeath'))\nebmt3$prtime <- ebmt3$prtime/365.25; ebmt3$rfstime <- ebmt3$rfstime/365.25\ncovs <- c('dissub','age','drmatch','tcd','prtime')\nmsb <- msprep(time=c(NA,'prtime','rfstime'), status=c(NA,'prstat','rfsstat'), data=ebmt3, trans=tmat, keep=covs)\nmsb <- expand.covs(msb, covs, append=TRUE, longnames=FALSE)",
  call = "c0 <- coxph(Surv(Tstart,Tstop,status)~strata(trans), data=msb, method='breslow')\nmf <- msfit(c0, trans=tmat)\np0 <- probtrans(mf, predt=0, variance=FALSE)\nel <- ELOS(p0, tau=5)",
  read_off = "list(elos5=el)",
  note = "expected length of stay to 5 years",
  packages = c("survival", "mstate"))

record("mstate_ebmt4_AJ", "mstate::ebmt4",
  prep = "data(ebmt4, package='mstate'); ebmt <- ebmt4; tmat <- transMat(x=list(c(2,3,5,6),c(4,5,6),c(4,5,6),c(5,6),c(),c()), names=c('Tx','Rec','AE','Rec+AE','Rel','Death'))\nms <- msprep(data=ebmt, trans=tmat, time=c(NA,'rec','ae','recae','rel','srv'), status=c(NA,'rec.s','ae.s','recae.s','rel.s','srv.s'), keep=c('match','proph','year','agecl'))\ng <- function(p,tt) { z <- p[sapply(tt,function(t) max(which(p$time<=t))),]; rownames(z)<-NULL; z }",
  call = "ev <- events(ms)\nc0 <- coxph(Surv(Tstart,Tstop,status)~strata(trans), data=ms, method='breslow')\nmf <- msfit(c0, trans=tmat, vartype='greenwood')\np0 <- probtrans(mf, predt=0, method='greenwood')\np100 <- probtrans(mf, predt=100, method='greenwood')\nel <- ELOS(probtrans(mf,predt=0,variance=FALSE), tau=1826)",
  read_off = "list(freq=unclass(ev$Frequencies), from0_state1=g(p0[[1]],c(30,100,365,730,1826)), from100=lapply(1:4,function(i) g(p100[[i]],c(200,365,730,1826))), elos_1826=el)",
  note = "6-state transplant model, n=2279, days",
  packages = c("survival", "mstate"))

record("mstate_ebmt4_cox", "mstate::ebmt4",
  prep = "data(ebmt4, package='mstate'); ebmt <- ebmt4; tmat <- transMat(x=list(c(2,3,5,6),c(4,5,6),c(4,5,6),c(5,6),c(),c()), names=c('Tx','Rec','AE','Rec+AE','Rel','Death'))\nms <- msprep(data=ebmt, trans=tmat, time=c(NA,'rec','ae','recae','rel','srv'), status=c(NA,'rec.s','ae.s','recae.s','rel.s','srv.s'), keep=c('match','proph','year','agecl'))",
  call = "msx <- expand.covs(ms, c('match','proph','year','agecl'), longnames=FALSE)\nvars <- grep('^(match|proph|year1|year2|agecl1|agecl2)\\\\.', names(msx), value=TRUE)\nf <- coxph(as.formula(paste('Surv(Tstart,Tstop,status)~',paste(vars,collapse='+'),'+strata(trans)')), data=msx, method='breslow')",
  read_off = "list(loglik=I(f$loglik), coef=coef(f), se=sqrt(diag(vcov(f))))",
  note = NULL,
  packages = c("survival", "mstate"))

record("lmaj_ebmt4", "mstate::ebmt4",
  prep = "data(ebmt4, package='mstate'); ebmt <- ebmt4; tmat <- transMat(x=list(c(2,3,5,6),c(4,5,6),c(4,5,6),c(5,6),c(),c()), names=c('Tx','Rec','AE','Rec+AE','Rel','Death'))\nms <- msprep(data=ebmt, trans=tmat, time=c(NA,'rec','ae','recae','rel','srv'), status=c(NA,'rec.s','ae.s','recae.s','rel.s','srv.s'), keep=c('match','proph','year','agecl'))\ng <- function(p,tt) { z <- p[sapply(tt,function(t) max(which(p$time<=t))),]; rownames(z)<-NULL; z }",
  call = "p <- LMAJ(ms, s=100, from=2, method='aalen')",
  read_off = "list(from_rec_at_100=g(p,c(200,365,730,1826)))",
  note = "landmark Aalen-Johansen (robust to non-Markov)",
  packages = c("survival", "mstate"))

record("survfit_multistate_myeloid", "survival::myeloid",
  prep = "d0 <- survival::myeloid; d <- tmerge(d0[,c('id','trt')], d0, id=id, death=event(futime,death), sct=event(txtime), cr=event(crtime), relapse=event(rltime))\nev <- with(d, cr+2*sct+4*relapse+8*death); d$priortx <- ave(d$sct,d$id,FUN=function(x) c(0,cumsum(x)[-length(x)]))\nd$event <- factor(with(d, ifelse(death==1,4,ifelse(relapse==1,3,ifelse(sct==1,2,ifelse(cr==1,1,0))))),0:4,c('none','CR','SCT','relapse','death'))",
  call = "fit <- survfit(Surv(tstart,tstop,event)~trt, data=d, id=id, influence=FALSE)\ns <- summary(fit, times=c(90,180,365,730,1095),extend=TRUE)\ntr <- fit$transitions\nrm <- summary(fit, rmean=1095)$table",
  read_off = "list(states=fit$states, strata=as.character(s$strata), time=s$time, pstate=unname(s$pstate), std_err=unname(s$std.err), transitions=unclass(tr), rmean1095=rm)",
  note = "current state (s0)->CR/SCT/relapse/death, Aalen-Johansen, IJ standard errors. With ties in time the state order of precedence is death>relapse>SCT>CR",
  packages = c("survival"))

record("coxph_multistate_myeloid", "survival::myeloid",
  prep = "d0 <- survival::myeloid; d <- tmerge(d0[,c('id','trt')], d0, id=id, death=event(futime,death), sct=event(txtime), cr=event(crtime), relapse=event(rltime))\nev <- with(d, cr+2*sct+4*relapse+8*death); d$priortx <- ave(d$sct,d$id,FUN=function(x) c(0,cumsum(x)[-length(x)]))\nd$event <- factor(with(d, ifelse(death==1,4,ifelse(relapse==1,3,ifelse(sct==1,2,ifelse(cr==1,1,0))))),0:4,c('none','CR','SCT','relapse','death'))",
  call = "f <- coxph(Surv(tstart,tstop,event)~trt, data=d, id=id, ties='breslow')\nfe <- Filter(function(z) z$method=='efron', list(coxph(Surv(tstart,tstop,event)~trt, data=d, id=id), coxph(Surv(tstart,tstop,event)~trt, data=d, id=id, ties='efron')))[[1]]",
  read_off = "list(breslow=list(coef=coef(f), se=sqrt(diag(vcov(f)))), efron=list(coef=coef(fe), se=sqrt(diag(vcov(fe)))), cmap=f$cmap, loglik_breslow=I(f$loglik))",
  note = "multi-state hazards: treatment effect per transition; robust variance by id. QUIRK: survival 3.5-3 uses Efron when ties is left out and Breslow when ties=efron is asked for; 3.8-6 defaults to Breslow and honours ties=efron. Results here are labelled by the method really used",
  packages = c("survival"))

record("multistate_mgus2_illnessdeath", "survival::mgus2",
  prep = "d0 <- survival::mgus2; d0$ptime2 <- with(d0, ifelse(pstat==1 & ptime==futime, ptime-0.1, ptime)); d <- tmerge(d0[,c('id','age','sex')], d0, id=id, death=event(futime,death), pcm=event(ptime2,pstat)); d$event <- factor(with(d, ifelse(death==1,2,ifelse(pcm==1,1,0))),0:2,c('censor','pcm','death'))",
  call = "fit <- survfit(Surv(tstart,tstop,event)~sex, data=d, id=id)\ns <- summary(fit,times=c(60,120,240),extend=TRUE)\nf <- coxph(Surv(tstart,tstop,event)~age+sex, data=d, id=id, ties='breslow')",
  read_off = "list(states=fit$states, transitions=unclass(fit$transitions), strata=as.character(s$strata), time=s$time, pstate=unname(s$pstate), std_err=unname(s$std.err), coef=coef(f), se=sqrt(diag(vcov(f))))",
  note = NULL,
  packages = c("survival"))

record("etm_ebmt3", "mstate::ebmt3",
  prep = "data(ebmt3, package='mstate'); tmat <- transMat(x=list(c(2,3),c(3),c()), names=c('Tx','PR','RelDeath'))\nebmt3$prtime <- ebmt3$prtime/365.25; ebmt3$rfstime <- ebmt3$rfstime/365.25\ncovs <- c('dissub','age','drmatch','tcd','prtime')\nmsb <- msprep(time=c(NA,'prtime','rfstime'), status=c(NA,'prstat','rfsstat'), data=ebmt3, trans=tmat, keep=covs)\nmsb <- expand.covs(msb, covs, append=TRUE, longnames=FALSE)",
  call = "x <- with(msb, data.frame(id=id, from=from, to=ifelse(status==1,to,0), entry=Tstart, exit=Tstop)); x1 <- do.call(rbind, lapply(split(x, list(x$id,x$from), drop=TRUE), function(z) if(any(z$to!=0)) z[z$to!=0,][1,] else z[1,]))\nx1$to <- ifelse(x1$to==0,'cens',as.character(x1$to)); x1$from <- as.character(x1$from); x1 <- subset(x1, exit>entry)\ntra <- matrix(FALSE,3,3,dimnames=list(1:3,1:3)); tra[1,2]<-tra[1,3]<-tra[2,3]<-TRUE\nem <- etm(x1, c('1','2','3'), tra, 'cens', s=0)\na <- trprob(em,'1 2',c(.5,1,2,5)); b <- trprob(em,'1 3',c(.5,1,2,5)); v <- trcov(em,'1 3',c(.5,1,2,5))",
  read_off = "list(p12=unname(a),p13=unname(b),var13=unname(as.vector(v)))",
  note = NULL,
  packages = c("survival", "mstate", "etm"))

finish("expected/multistate.json", "Multistate models", "multistate.R")
