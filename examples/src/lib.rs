//! The aiops example system and programs.
