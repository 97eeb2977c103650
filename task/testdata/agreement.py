"""Prints the golden values of agreement_test.go, computed from definitions other than those of the Go code."""
import numpy as np
rng=np.random.default_rng(5)
n=40
truth3=rng.integers(0,3,n); pred3=np.where(rng.random(n)<.6,truth3,rng.integers(0,3,n))
truth2=rng.integers(0,2,n); pred2=np.where(rng.random(n)<.6,truth2,rng.integers(0,2,n))
def f1(t,p,k):
    tp=sum((t==k)&(p==k)); pr=tp/sum(p==k); rc=tp/sum(t==k); return 2*pr*rc/(pr+rc)
def mcc(t,p,K):  # as a correlation of one-hot indicator matrices, not from the confusion matrix
    T=np.eye(K)[t]; P=np.eye(K)[p]; T=T-T.mean(0); P=P-P.mean(0)
    return (T*P).sum()/np.sqrt((T*T).sum()*(P*P).sum())
for t,p,K in ((truth2,pred2,2),(truth3,pred3,3)):
    print("".join(map(str,t)),"".join(map(str,p)),repr((t==p).mean()),repr(f1(t,p,1)),repr(np.mean([f1(t,p,k) for k in range(K)])),repr(mcc(t,p,K)))
x=np.round(rng.normal(size=24)*2)/2; y=np.round((x+rng.normal(size=24))*4)/4
def rank(v): return np.array([(v<a).sum()+((v==a).sum()-1)/2 for a in v])
print(list(x)); print(list(y)); print(repr(np.corrcoef(x,y)[0,1]), repr(np.corrcoef(rank(x),rank(y))[0,1]))
