//! A network of its own has nothing but a loopback device, which is down at first.

use super::cannot;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use wasmill_stream::Result;

/// The first device of every network.
const LOOPBACK: i32 = 1;
/// Change a device (`RTM_NEWLINK`).
const SET_LINK: u16 = 16;
/// It is a request, and is to be answered (`NLM_F_REQUEST`, `NLM_F_ACK`).
const ASK: u16 = 1 | 4;
/// The device is up (`IFF_UP`).
const UP: u32 = 1;

/// Raises the loopback device of this process's network. The system gives it 127.0.0.1 then.
pub fn raise_loopback() -> Result<()> {
    let failed = |error| cannot("raise the loopback device of a network of its own", error);
    let link = socket(AddressFamily::NETLINK, SocketType::RAW, None).map_err(failed)?;
    sendto(&link, &request(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map_err(failed)?;
    // Asked for something else than a number would be an error; the listener that comes next shows whether it is up.
    Ok(())
}

/// The header of a message (`nlmsghdr`), and what is to become of the device (`ifinfomsg`), as `rtnetlink(7)` has them.
fn request() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend(32_u32.to_ne_bytes());
    bytes.extend(SET_LINK.to_ne_bytes());
    bytes.extend(ASK.to_ne_bytes());
    // Number and sender of the message.
    bytes.extend([0; 8]);
    // Family and type of the device: any.
    bytes.extend([0; 4]);
    bytes.extend(LOOPBACK.to_ne_bytes());
    bytes.extend(UP.to_ne_bytes());
    // Which flags are meant.
    bytes.extend(UP.to_ne_bytes());
    bytes
}
