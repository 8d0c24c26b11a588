//! What waits in front of a step.

use crate::parcel::Parcel;

/// Rows that wait for their epoch, or for the end of a pause.
pub enum Work<A> {
    /// As they came.
    Fresh(Parcel),
    /// Let in already; their call has failed and will be made again.
    Begun(A),
}

impl<A> Work<A> {
    /// The rows, let in by `admit` unless they have been before: nobody is counted twice.
    pub fn admitted(self, admit: impl FnOnce(Parcel) -> A) -> A {
        match self {
            Self::Fresh(parcel) => admit(parcel),
            Self::Begun(admitted) => admitted,
        }
    }
}
