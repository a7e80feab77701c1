//! Model, seams, guard tokens, pipeline and in-memory fakes of aiops.
