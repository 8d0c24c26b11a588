//! The API as a way into a host: who may ask for what, by which ways he comes, what he sees, and what is written down of it.

mod access;
mod commands;
mod contract;
mod looks;
mod secrets;
mod ways;
