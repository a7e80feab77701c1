//! Localisation and root cause without a language model.
