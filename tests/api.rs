//! The API as a way into a host: who may ask for what, by which ways he comes, and what is written down of it.

mod access;
mod ways;
