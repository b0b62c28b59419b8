//! What a packet is to this module: bytes that may not be there, and room that can be made.

/// Bytes to read.
pub trait Octets {
    /// How many there are.
    fn length(&self) -> usize;

    /// Copies the bytes at an offset out; `None` if they are not all there.
    fn read(&self, at: usize, to: &mut [u8]) -> Option<()>;

    /// So many bytes.
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes).map(|()| bytes)
    }

    /// One byte.
    fn octet(&self, at: usize) -> Option<u8> {
        self.array(at).map(|[byte]| byte)
    }
}

/// Bytes that can be changed, and moved apart and together.
pub trait Room: Octets {
    /// Writes bytes that are there; what is not there is left alone.
    fn write(&mut self, at: usize, bytes: &[u8]);

    /// Puts zeroes before what is at `at`, which is at most the end.
    fn open(&mut self, at: usize, len: usize);

    /// Takes bytes out that are there.
    fn close(&mut self, at: usize, len: usize);
}

impl<T: Octets + ?Sized> Octets for &T {
    fn length(&self) -> usize {
        (**self).length()
    }

    fn read(&self, at: usize, to: &mut [u8]) -> Option<()> {
        (**self).read(at, to)
    }
}

impl Octets for [u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn read(&self, at: usize, to: &mut [u8]) -> Option<()> {
        to.copy_from_slice(self.get(at..at.checked_add(to.len())?)?);
        Some(())
    }
}

impl Octets for Vec<u8> {
    fn length(&self) -> usize {
        self.len()
    }

    fn read(&self, at: usize, to: &mut [u8]) -> Option<()> {
        self.as_slice().read(at, to)
    }
}

impl Room for Vec<u8> {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }

    fn open(&mut self, at: usize, len: usize) {
        let old = self.len();
        let at = at.min(old);
        self.resize(old + len, 0);
        self.copy_within(at..old, at + len);
        self[at..at + len].fill(0);
    }

    fn close(&mut self, at: usize, len: usize) {
        let end = at.saturating_add(len).min(self.len());
        self.drain(at.min(end)..end);
    }
}
