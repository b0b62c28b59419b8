//! Ring buffers and perf buffers as streams for tokio.

use super::{PerfBuffer, RingBuffer};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{Interest, unix::AsyncFd};

/// What comes out of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record, and the CPU that it comes from (0 of ring buffers, which do not tell).
    Record {
        /// The CPU.
        cpu: u32,
        /// The bytes.
        data: Vec<u8>,
    },
    /// So many records were lost.
    Lost(u64),
}

/// The events of a buffer as they come. It never ends.
#[derive(Debug)]
pub struct EventStream {
    buffer: Buffer,
    fds: Vec<AsyncFd<Readable>>,
    waiting: VecDeque<Event>,
}

#[derive(Debug)]
enum Buffer {
    Ring(RingBuffer),
    Perf(PerfBuffer),
}

/// A descriptor that is watched.
#[derive(Debug)]
struct Readable(OwnedFd);

impl AsRawFd for Readable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl EventStream {
    /// The records of a ring buffer.
    ///
    /// # Errors
    /// If tokio cannot watch it.
    pub fn ring(ring: RingBuffer) -> io::Result<EventStream> {
        use std::os::fd::AsFd;
        let fds = vec![watched(ring.as_fd())?];
        Ok(EventStream { buffer: Buffer::Ring(ring), fds, waiting: VecDeque::new() })
    }

    /// The records of a perf event array.
    ///
    /// # Errors
    /// If tokio cannot watch it.
    pub fn perf(perf: PerfBuffer) -> io::Result<EventStream> {
        let fds = perf.fds().map(watched).collect::<io::Result<_>>()?;
        Ok(EventStream { buffer: Buffer::Perf(perf), fds, waiting: VecDeque::new() })
    }

    fn fill(&mut self) {
        let waiting = &mut self.waiting;
        match &mut self.buffer {
            Buffer::Ring(ring) => {
                ring.drain(|data| waiting.push_back(Event::Record { cpu: 0, data: data.to_vec() }));
            }
            Buffer::Perf(perf) => {
                let lost = perf.drain(|cpu, data| waiting.push_back(Event::Record { cpu, data: data.to_vec() }));
                if lost > 0 {
                    waiting.push_back(Event::Lost(lost));
                }
            }
        }
    }

    /// Whether any descriptor has become readable; whoever is asked last is woken when one does.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut any = false;
        for fd in &self.fds {
            if let Poll::Ready(guard) = fd.poll_read_ready(cx) {
                guard?.clear_ready();
                any = true;
            }
        }
        if any { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

fn watched(fd: std::os::fd::BorrowedFd<'_>) -> io::Result<AsyncFd<Readable>> {
    let fd = Readable(fd.try_clone_to_owned()?);
    // SAFETY: it owns its descriptor, which stays the same and open as long as it lives.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

impl Stream for EventStream {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Event>>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            // Looked at first: what comes between the two wakes us.
            let readable = self.poll_readable(cx);
            self.fill();
            if self.waiting.is_empty()
                && let Err(e) = ready!(readable)
            {
                return Poll::Ready(Some(Err(e)));
            }
        }
    }
}
