//! One netlink message: a header, the fixed part of its kind, attributes that may hold attributes.

use alveary_abi::Errno;

/// Header of a message: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// Header of an attribute: length, type.
const ATTRIBUTE: usize = 4;
/// Messages and attributes begin at multiples of this.
const ALIGN: usize = 4;
/// The attribute holds attributes.
const NESTED: u16 = 1 << 15;
/// Its type is in the other bits.
const TYPE: u16 = 0x3fff;

pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_ECHO: u16 = 0x8;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_DUMP: u16 = 0x300;

/// What the kernel answers instead of data.
pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
/// In the header of an error: the kernel says more behind it, and leaves the request out.
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
/// In what it says more: a text.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A request that the kernel did not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its number.
    pub errno: Errno,
    /// What it says in words; often nothing.
    pub text: String,
}

impl From<rustix::io::Errno> for Refusal {
    fn from(errno: rustix::io::Errno) -> Refusal {
        Refusal { errno: Errno(errno.raw_os_error()), text: String::new() }
    }
}

/// A message that is being written.
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A message of this type; `fixed` is what stands before its attributes.
    pub(crate) fn new(ty: u16, flags: u16, fixed: &[u8]) -> Request {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&ty.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend(fixed);
        let mut request = Request { bytes };
        request.pad();
        request
    }

    /// Adds an attribute.
    pub(crate) fn put(&mut self, ty: u16, value: &[u8]) -> &mut Request {
        let len = (ATTRIBUTE + value.len()) as u16;
        self.bytes.extend(len.to_ne_bytes());
        self.bytes.extend(ty.to_ne_bytes());
        self.bytes.extend(value);
        self.pad();
        self
    }

    /// Adds an attribute that is a number.
    pub(crate) fn number(&mut self, ty: u16, value: u32) -> &mut Request {
        self.put(ty, &value.to_ne_bytes())
    }

    /// Adds an attribute that is a text.
    pub(crate) fn text(&mut self, ty: u16, value: &str) -> &mut Request {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(ty, &bytes)
    }

    /// Adds an attribute that holds what `inside` adds.
    pub(crate) fn nest(&mut self, ty: u16, inside: impl FnOnce(&mut Request)) -> &mut Request {
        self.nest_behind(ty, &[], inside)
    }

    /// The same, with a fixed part in front of what it holds.
    pub(crate) fn nest_behind(&mut self, ty: u16, fixed: &[u8], inside: impl FnOnce(&mut Request)) -> &mut Request {
        let start = self.bytes.len();
        self.put(ty | NESTED, fixed);
        inside(self);
        let len = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self
    }

    /// Adds an entry of a list: its length, what else `fixed` says behind that, what `inside` adds.
    pub(crate) fn entry(&mut self, fixed: &[u8], inside: impl FnOnce(&mut Request)) {
        let start = self.bytes.len();
        self.bytes.extend(fixed);
        inside(self);
        let len = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }

    /// The whole message, under this sequence number.
    pub(super) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let len = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// A message from the kernel.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) ty: u16,
    flags: u16,
    sequence: u32,
    /// What stands behind the header.
    pub(crate) body: &'a [u8],
}

/// The messages in a datagram.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let len = number::<u32>(bytes, 0)? as usize;
        let message = Message {
            ty: number(bytes, 4)?,
            flags: number(bytes, 6)?,
            sequence: number(bytes, 8)?,
            body: bytes.get(HEADER..len)?,
        };
        bytes = bytes.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(message)
    })
}

impl<'a> Message<'a> {
    pub(super) fn answers(&self, sequence: u32) -> bool {
        self.sequence == sequence
    }

    /// What an error message says; `None` if it says that all went well.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let errno = number::<i32>(self.body, 0).unwrap_or(0);
        if errno == 0 {
            return None;
        }
        // Behind the number stands the request, or its header alone.
        let request = if self.flags & NLM_F_CAPPED != 0 { HEADER } else { number::<u32>(self.body, 4)? as usize };
        let more = if self.flags & NLM_F_ACK_TLVS != 0 { self.body.get(4 + request..) } else { None };
        let text = attributes(more.unwrap_or_default())
            .find(|(ty, _)| *ty == NLMSGERR_ATTR_MSG)
            .map(|(_, text)| string(text))
            .unwrap_or_default();
        Some(Refusal { errno: Errno(errno.wrapping_neg()), text })
    }

    /// The attributes behind a fixed part of `fixed` bytes.
    pub(crate) fn attributes(&self, fixed: usize) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.body.get(fixed..).unwrap_or_default())
    }
}

/// The attributes in some bytes: the type of each, and its value.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(number::<u16>(bytes, 0)?);
        let ty = number::<u16>(bytes, 2)? & TYPE;
        let value = bytes.get(ATTRIBUTE..len)?;
        bytes = bytes.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some((ty, value))
    })
}

/// A text up to its zero.
pub(crate) fn string(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The number at some place, in the machine's byte order; `None` behind the end.
pub(crate) fn number<T: zerocopy::FromBytes>(bytes: &[u8], at: usize) -> Option<T> {
    T::read_from_bytes(bytes.get(at..at + size_of::<T>())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut request = Request::new(19, NLM_F_ACK, &[7; 5]);
        request.number(1, 0xabcd).nest(43, |inside| {
            inside.text(2, "eth0").put(3, &[1]);
        });
        let bytes = request.finish(9);
        let all: Vec<Message<'_>> = messages(&bytes).collect();
        let [message] = all[..] else { panic!("{} messages", all.len()) };
        assert_eq!(message.ty, 19);
        assert!(message.answers(9) && !message.answers(8));
        let top: Vec<(u16, &[u8])> = message.attributes(8).collect();
        assert_eq!(top[0], (1, &0xabcd_u32.to_ne_bytes()[..]));
        assert_eq!(top[1].0, 43);
        let inside: Vec<(u16, &[u8])> = attributes(top[1].1).collect();
        assert_eq!(inside, [(2, &b"eth0\0"[..]), (3, &[1][..])]);
    }

    #[test]
    fn what_is_cut_ends_the_reading() {
        let mut request = Request::new(19, 0, &[]);
        request.text(1, "a longer text than fits");
        let bytes = request.finish(1);
        for end in 0..bytes.len() {
            for message in messages(&bytes[..end]) {
                assert_eq!(message.attributes(0).count(), 1);
            }
        }
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0, "shorter than its header");
    }
}
