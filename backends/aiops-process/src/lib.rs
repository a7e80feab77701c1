//! Local process supervisor for aiops: mitigator and change feed.
