//! What comes in: captures, each by an interface, together in the order of their times.

use crate::failure::Failure;
use alveary_ports::Capture;
use std::path::PathBuf;

/// The captures.
pub(super) struct Inputs<P> {
    all: Vec<Input<P>>,
    /// How many packets were taken.
    pub(super) packets: u64,
}

/// A capture, and its next packet.
struct Input<P> {
    port: P,
    path: PathBuf,
    capture: Capture,
    next: Option<Frame>,
}

/// A packet that came in.
pub(super) struct Frame {
    pub(super) time: u64,
    /// From its Ethernet header on.
    pub(super) bytes: Vec<u8>,
}

impl<P: Copy> Inputs<P> {
    /// Opens captures, each with the interface that its packets come by.
    pub(super) fn open(captures: impl IntoIterator<Item = (PathBuf, P)>) -> Result<Inputs<P>, Failure> {
        let open = |(path, port): (PathBuf, P)| {
            let mut input = Input { port, capture: Capture::open(&path)?, path, next: None };
            input.read()?;
            Ok(input)
        };
        let all = captures.into_iter().map(open).collect::<Result<_, Failure>>()?;
        Ok(Inputs { all, packets: 0 })
    }

    /// The next packet, and where it comes in.
    pub(super) fn next(&mut self) -> Result<Option<(P, Frame)>, Failure> {
        let time = |input: &Input<P>| input.next.as_ref().map_or(u64::MAX, |frame| frame.time);
        let Some(first) = self.all.iter_mut().filter(|input| input.next.is_some()).min_by_key(|input| time(input))
        else {
            return Ok(None);
        };
        let Some(frame) = first.next.take() else { return Ok(None) };
        first.read()?;
        self.packets += 1;
        Ok(Some((first.port, frame)))
    }
}

impl<P> Input<P> {
    fn read(&mut self) -> Result<(), Failure> {
        self.next = match self.capture.next() {
            None => None,
            Some(packet) => {
                let in_file = |why: alveary_diag::Diagnostic| why.in_file(self.path.display().to_string());
                let packet = packet.map_err(in_file)?;
                let bytes = packet.ethernet_view().map_err(in_file)?.to_vec();
                Some(Frame { time: packet.timestamp_ns, bytes })
            }
        };
        Ok(())
    }
}
