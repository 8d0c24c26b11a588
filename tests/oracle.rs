//! Answers that the tests compare the program with, found the slow way: all rows in memory, one pass, no watermarks. Written
//! from the definitions; nothing in here uses the windows, the decoder, the plugins or the SDK.

pub mod calendar;
pub mod deviation;
pub mod geohash;
pub mod taxi;
pub mod windows;
