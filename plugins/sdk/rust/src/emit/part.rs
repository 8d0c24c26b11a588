//! The parts of an [`Emit`](super::Emit): each is set or not, and says so by a constant, because a column is there for all
//! rows or for none.

use super::{Bytes, Same};
use crate::{Json, Reject, Time, ToKey};
use serde::Serialize;

/// A key or a value, new or not.
pub trait Part<Kind> {
    const SET: bool;
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), Reject>;
}

pub struct KeyPart;
pub struct ValuePart;

impl<Kind> Part<Kind> for Same {
    const SET: bool = false;

    fn write(&self, _bytes: &mut Vec<u8>) -> Result<(), Reject> {
        Ok(())
    }
}

impl<K: ToKey> Part<KeyPart> for K {
    const SET: bool = true;

    #[inline]
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), Reject> {
        ToKey::write(self, bytes);
        Ok(())
    }
}

impl<S: Serialize> Part<ValuePart> for Json<S> {
    const SET: bool = true;

    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), Reject> {
        Ok(serde_json::to_writer(bytes, &self.0)?)
    }
}

impl<B: AsRef<[u8]>> Part<ValuePart> for Bytes<B> {
    const SET: bool = true;

    #[inline]
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), Reject> {
        bytes.extend_from_slice(self.0.as_ref());
        Ok(())
    }
}

/// An event time, new or not.
pub trait TimePart: Copy {
    const SET: bool;
    fn millis(self) -> i64;
}

impl TimePart for Same {
    const SET: bool = false;

    fn millis(self) -> i64 {
        0
    }
}

impl TimePart for Time {
    const SET: bool = true;

    fn millis(self) -> i64 {
        self.0
    }
}
