//! What a program leaves in its context, on any target.

/// What a program left in its context, as far as Linux's test run tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Fields of `struct __sk_buff` by name: `mark`, `priority`, `cb`, `tstamp`.
    pub fields: Vec<(&'static str, u64)>,
    /// The metadata in front of an XDP program's packet.
    pub metadata: Vec<u8>,
}

impl Context {
    /// That of an XDP program.
    pub(crate) fn xdp(metadata: Vec<u8>) -> Context {
        Context { fields: Vec::new(), metadata }
    }

    /// That of a program over a socket buffer.
    pub(crate) fn skb(mark: u32, priority: u32, cb: [u32; 5], tstamp: u64) -> Context {
        let cells = ["cb[0]", "cb[1]", "cb[2]", "cb[3]", "cb[4]"].into_iter().zip(cb);
        let words = [("mark", mark), ("priority", priority)].into_iter().chain(cells);
        let mut fields: Vec<_> = words.map(|(name, value)| (name, u64::from(value))).collect();
        fields.push(("tstamp", tstamp));
        Context { fields, metadata: Vec::new() }
    }
}
