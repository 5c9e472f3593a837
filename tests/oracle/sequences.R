# State sequences: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript sequences.R writes expected/sequences.json; needs the packages named in each record.
source("record.R")

record("seqdist_mvad_OM_const_indel1", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='OM', indel=1, sm=seqsubm(s,method='CONSTANT',cval=2)))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_OM_trate_indel1", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='OM', indel=1, sm=seqsubm(s,method='TRATE')))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_OM_const_norm", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='OM', indel=1, sm=seqsubm(s,method='CONSTANT',cval=2), norm='maxlength'))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_LCS", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='LCS'))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_LCS_norm", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='LCS', norm='gmean'))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_LCP", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='LCP'))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_RLCP", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='RLCP'))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_HAM", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='HAM'))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_DHD", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='DHD'))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_EUCLID", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='EUCLID', step=1))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_CHI2", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='CHI2', step=1))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_OMspell", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s, method='OMspell', sm=seqsubm(s,method='CONSTANT',cval=2), tpow=1, expcost=.5))",
  read_off = "list(n=nrow(D), sum=sum(D), mean_offdiag=mean(D[upper.tri(D)]), max=max(D), first6=unname(D[1:6,1:6]), row1_sum=sum(D[1,]), checks=list(d_1_2=D[1,2],d_10_500=D[10,500],d_300_712=D[300,712]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_mvad_submatrix", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "a <- suppressMessages(seqsubm(s,method='TRATE')); b <- seqtrate(s); h <- suppressMessages(seqcost(s,method='INDELSLOG')); f <- suppressMessages(seqcost(s,method='FUTURE')); w <- suppressWarnings(suppressMessages(seqtrate(s)))",
  read_off = "list(trate_costs=unname(a), transition_rates=unname(b), indelslog_indel=h$indel, indelslog_sm=unname(h$sm), future_sm=unname(f$sm), alphabet=alphabet(s))",
  note = "substitution costs 2-p_ij-p_ji; unweighted sequence object",
  packages = c("survival", "TraMineR"))

record("seq_descriptives_mvad", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "en <- seqient(s); tb <- seqST(s); ci <- seqici(s); st <- seqstatd(s); tr <- seqtransn(s); mt <- seqmeant(s); ms <- seqmodst(s); le <- seqlength(seqdss(s)); tab <- seqtab(s, idxs=1:5)",
  read_off = "list(entropy_first10=I(as.vector(en)[1:10]), entropy_mean=mean(en), turbulence_first10=I(as.vector(tb)[1:10]), turbulence_mean=mean(tb), complexity_first10=I(as.vector(ci)[1:10]), complexity_mean=mean(ci), transitions_first10=I(as.vector(tr)[1:10]), mean_time=I(as.vector(mt)), state_freq_t1=I(unname(st$Frequencies[,1])), state_freq_t70=I(unname(st$Frequencies[,70])), entropy_t=I(unname(st$Entropy)), dss_length_first10=I(as.vector(le)[1:10]), top5_freq=I(as.vector(attr(tab,\"freq\")$Freq)), top5=rownames(attr(tab,\"freq\")))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seq_cluster_mvad", "TraMineR::mvad",
  prep = "suppressMessages({data(mvad, package='TraMineR'); al <- c('employment','FE','HE','joblessness','school','training'); s <- seqdef(mvad[,17:86], alphabet=al, states=c('EM','FE','HE','JL','SC','TR'), xtstep=6)})",
  call = "D <- suppressMessages(seqdist(s,method='OM',indel=1,sm=seqsubm(s,method='CONSTANT',cval=2)))\nh <- hclust(as.dist(D),method='ward.D2'); c4 <- cutree(h,4)\nsil <- cluster::silhouette(c4,dmatrix=D); pm <- cluster::pam(as.dist(D),4)\na <- suppressMessages(dissassoc(D, mvad$gcse5eq, R=1))",
  read_off = "list(ward_heights_last5=I(tail(h$height,5)), sizes=I(as.vector(table(c4))), mean_silhouette=mean(sil[,3]), pam_medoids=I(pm$id.med), pam_objective=I(unname(pm$objective)), pam_sil=pm$silinfo$avg.width, discrepancy_anova=a$anova.table, pseudo=a$stat)",
  note = "discrepancy analysis pseudo-R2/F; its p-value is a permutation value and not a reference",
  packages = c("survival", "TraMineR", "cluster"))

record("seqdist_biofam300_OM_const_indel1", "TraMineR::biofam",
  prep = "suppressMessages({data(biofam, package='TraMineR'); s <- seqdef(biofam[1:300,10:25], states=c('P','L','M','LM','C','LC','LMC','D'))})",
  call = "D <- suppressMessages(seqdist(s, method='OM', indel=1, sm=seqsubm(s,method='CONSTANT',cval=2)))",
  read_off = "list(n=nrow(D), sum=sum(D), max=max(D), first6=unname(D[1:6,1:6]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_biofam300_LCS", "TraMineR::biofam",
  prep = "suppressMessages({data(biofam, package='TraMineR'); s <- seqdef(biofam[1:300,10:25], states=c('P','L','M','LM','C','LC','LMC','D'))})",
  call = "D <- suppressMessages(seqdist(s, method='LCS'))",
  read_off = "list(n=nrow(D), sum=sum(D), max=max(D), first6=unname(D[1:6,1:6]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_biofam300_HAM", "TraMineR::biofam",
  prep = "suppressMessages({data(biofam, package='TraMineR'); s <- seqdef(biofam[1:300,10:25], states=c('P','L','M','LM','C','LC','LMC','D'))})",
  call = "D <- suppressMessages(seqdist(s, method='HAM'))",
  read_off = "list(n=nrow(D), sum=sum(D), max=max(D), first6=unname(D[1:6,1:6]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_biofam300_DHD", "TraMineR::biofam",
  prep = "suppressMessages({data(biofam, package='TraMineR'); s <- seqdef(biofam[1:300,10:25], states=c('P','L','M','LM','C','LC','LMC','D'))})",
  call = "D <- suppressMessages(seqdist(s, method='DHD'))",
  read_off = "list(n=nrow(D), sum=sum(D), max=max(D), first6=unname(D[1:6,1:6]))",
  note = NULL,
  packages = c("survival", "TraMineR"))

record("seqdist_ebmt4_400_OM_const_indel1", "mstate::ebmt4",
  prep = "suppressMessages({data(ebmt4, package='mstate'); d <- ebmt4[1:400,]; grid <- seq(0,720,30)\nst <- t(apply(as.matrix(d[,c('rec','rec.s','ae','ae.s','recae','recae.s','rel','rel.s','srv','srv.s')]),1,function(z) sapply(grid,function(t){ if(z['srv.s']==1 && t>=z['srv']) 'Death' else if(z['srv.s']==0 && t>z['srv']) NA else if(z['rel.s']==1 && t>=z['rel']) 'Rel' else if(z['recae.s']==1 && t>=z['recae']) 'RecAE' else if(z['ae.s']==1 && t>=z['ae']) 'AE' else if(z['rec.s']==1 && t>=z['rec']) 'Rec' else 'Tx' })))\ns <- seqdef(st, alphabet=c('Tx','Rec','AE','RecAE','Rel','Death'), right='DEL')})",
  call = "D <- suppressMessages(seqdist(s, method='OM', indel=1, sm=seqsubm(s,method='CONSTANT',cval=2)))\nL <- seqlength(s)",
  read_off = "list(n=nrow(D), lengths_first10=I(as.vector(L)[1:10]), state_counts=as.list(table(factor(st,levels=c('Tx','Rec','AE','RecAE','Rel','Death')))), missing=sum(is.na(st)), sum=sum(D), max=max(D), first6=unname(D[1:6,1:6]))",
  note = "REAL clinical trajectories: transplant course on a 30-day grid 0..720 d (25 columns), sequences of unequal length: missing after censoring is removed (right=DEL). First 400 patients",
  packages = c("survival", "TraMineR", "mstate"))

record("seqdist_ebmt4_400_LCS", "mstate::ebmt4",
  prep = "suppressMessages({data(ebmt4, package='mstate'); d <- ebmt4[1:400,]; grid <- seq(0,720,30)\nst <- t(apply(as.matrix(d[,c('rec','rec.s','ae','ae.s','recae','recae.s','rel','rel.s','srv','srv.s')]),1,function(z) sapply(grid,function(t){ if(z['srv.s']==1 && t>=z['srv']) 'Death' else if(z['srv.s']==0 && t>z['srv']) NA else if(z['rel.s']==1 && t>=z['rel']) 'Rel' else if(z['recae.s']==1 && t>=z['recae']) 'RecAE' else if(z['ae.s']==1 && t>=z['ae']) 'AE' else if(z['rec.s']==1 && t>=z['rec']) 'Rec' else 'Tx' })))\ns <- seqdef(st, alphabet=c('Tx','Rec','AE','RecAE','Rel','Death'), right='DEL')})",
  call = "D <- suppressMessages(seqdist(s, method='LCS'))\nL <- seqlength(s)",
  read_off = "list(n=nrow(D), lengths_first10=I(as.vector(L)[1:10]), state_counts=as.list(table(factor(st,levels=c('Tx','Rec','AE','RecAE','Rel','Death')))), missing=sum(is.na(st)), sum=sum(D), max=max(D), first6=unname(D[1:6,1:6]))",
  note = "REAL clinical trajectories: transplant course on a 30-day grid 0..720 d (25 columns), sequences of unequal length: missing after censoring is removed (right=DEL). First 400 patients",
  packages = c("survival", "TraMineR", "mstate"))

finish("expected/sequences.json", "State sequences", "sequences.R")
