//! The terminal: a screen of its own, keys as they are pressed, and everything as it was behind that.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    stdio::{stdin, stdout},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};
use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

/// Another screen, without a cursor; and the one of before.
const TAKE: &str = "\x1b[?1049h\x1b[?25l";
const GIVE_BACK: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
/// What keys without a character send.
const SEQUENCES: [(&[u8], Key); 6] = [
    (b"\x1b[A", Key::Up),
    (b"\x1b[B", Key::Down),
    (b"\x1bOA", Key::Up),
    (b"\x1bOB", Key::Down),
    (b"\x1b[5~", Key::PageUp),
    (b"\x1b[6~", Key::PageDown),
];
/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Escape,
}

/// How long signals may wait to be seen.
const PATIENCE: Duration = Duration::from_millis(200);

/// The terminal, until this is dropped.
pub(crate) struct Terminal {
    before: Termios,
}

impl Terminal {
    /// Takes the terminal: keys come at once and are not shown. Ctrl-C stays a signal.
    pub(crate) fn take() -> io::Result<Terminal> {
        let before = tcgetattr(stdin())?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(stdin(), OptionalActions::Now, &modes)?;
        let terminal = Terminal { before };
        io::stdout().write_all(TAKE.as_bytes())?;
        Ok(terminal)
    }

    /// Columns and lines.
    pub(crate) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }

    /// Shows these lines in place of what is there.
    pub(crate) fn show(&mut self, lines: &[String]) -> io::Result<()> {
        let text = lines.join(&format!("{CLEAR_LINE}\r\n"));
        let mut out = io::stdout().lock();
        write!(out, "{HOME}{text}{CLEAR_LINE}{CLEAR_BELOW}")?;
        out.flush()
    }

    /// The keys that are pressed, at the latest at `due`, earlier without one: nobody waits long.
    pub(crate) fn keys(&mut self, due: Instant) -> io::Result<Vec<Key>> {
        let wait = due.saturating_duration_since(Instant::now()).min(PATIENCE);
        let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&stdin(), PollFlags::IN)], Some(&wait)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Vec::new()),
            polled => polled?,
        };
        let mut bytes = [0; 64];
        let read = rustix::io::read(stdin(), &mut bytes)?;
        // At the end of the input nobody is there any more.
        Ok(if read == 0 { vec![Key::Escape] } else { keys(&bytes[..read]) })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // There is nobody to tell.
        io::stdout().write_all(GIVE_BACK.as_bytes()).and_then(|()| io::stdout().flush()).ok();
        tcsetattr(stdin(), OptionalActions::Now, &self.before).ok();
    }
}

/// The keys that sent these bytes; what is not known is left out.
fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        if let Some((sequence, key)) = SEQUENCES.iter().find(|(sequence, _)| bytes.starts_with(sequence)) {
            keys.push(*key);
            bytes = &bytes[sequence.len()..];
            continue;
        }
        bytes = rest;
        match first {
            b'\x1b' if rest.is_empty() => keys.push(Key::Escape),
            // Another sequence: up to the letter or `~` that ends it.
            b'\x1b' => {
                let end = rest.iter().skip(1).position(|b| b.is_ascii_alphabetic() || *b == b'~');
                bytes = end.map_or(&[], |end| &rest[end + 2..]);
            }
            byte if byte.is_ascii_graphic() || *byte == b' ' => keys.push(Key::Char(char::from(*byte))),
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        assert_eq!(keys(b"q "), [Key::Char('q'), Key::Char(' ')]);
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[6~r"), [Key::Up, Key::Down, Key::PageDown, Key::Char('r')]);
        assert_eq!(keys(b"\x1b"), [Key::Escape]);
        assert_eq!(keys(b"\x1b[1;5Ca\xc3\xa9\x7f"), [Key::Char('a')], "others are left out");
        assert_eq!(keys(b"\x1b["), []);
    }
}
