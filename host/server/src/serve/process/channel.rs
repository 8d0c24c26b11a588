//! How a host and the process of a tenant talk: messages of JSON over a pair of sockets, some with an open file. Nobody else has an
//! end of it, and when one end goes the other one hears that.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest message, bytes. The settings of a tenant with a policy of AWS are the longest.
const LONGEST: usize = 128 << 10;

/// One end.
pub struct Channel(OwnedFd);

impl Channel {
    /// Two ends. The second one is for the other process.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (own, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(own), other))
    }

    /// The end that this process was given as its standard input.
    pub fn of_stdin() -> io::Result<Self> {
        io::stdin().as_fd().try_clone_to_owned().map(Self)
    }

    /// Sends a message. Does not wait: whoever does not read is stuck.
    pub fn send(&self, message: &impl Serialize, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > LONGEST {
            return Err(io::Error::other(format!(
                "a message of {} bytes, at most {LONGEST} are possible",
                bytes.len()
            )));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut with = SendAncillaryBuffer::new(&mut space);
        let files = file.as_slice();
        if !files.is_empty() {
            with.push(SendAncillaryMessage::ScmRights(files));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut with, flags)?;
        Ok(())
    }

    /// Waits for a message. `None`: the other end has gone.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let (length, flags, file) = loop {
            let mut with = RecvAncillaryBuffer::new(&mut space);
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut with, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
                Ok(received) => {
                    let files = with.drain().filter_map(|message| match message {
                        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
                        _ => None,
                    });
                    break (received.bytes, received.flags, files.last());
                }
            }
        };
        match bytes.get(..length) {
            _ if flags.contains(ReturnFlags::TRUNC) => Err(io::Error::other("a message that is too long")),
            // Nobody sends messages without a byte.
            None | Some([]) => Ok(None),
            Some(bytes) => Ok(Some((serde_json::from_slice(bytes)?, file))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    /// Messages with and without a file → they arrive in order, each with its own file; one that is too long is refused, and an end
    /// that goes is heard.
    #[test]
    fn messages_arrive() {
        let (here, there) = Channel::pair().expect("sockets");
        let there = Channel(there);
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"text").and_then(|()| file.rewind()).expect("written");
        here.send(&"one", None).expect("sent");
        here.send(&vec![2, 3], Some(file.as_fd())).expect("sent");
        here.send(&"x".repeat(LONGEST), None).expect_err("too long");
        let (one, none) = there.receive::<String>().expect("received").expect("a message");
        assert_eq!((one.as_str(), none.is_none()), ("one", true));
        let (two, with) = there.receive::<Vec<u8>>().expect("received").expect("a message");
        let mut text = String::new();
        std::fs::File::from(with.expect("a file")).read_to_string(&mut text).expect("readable");
        assert_eq!((two, text.as_str()), (vec![2, 3], "text"));
        drop(here);
        assert!(there.receive::<String>().expect("no error").is_none());
    }
}
