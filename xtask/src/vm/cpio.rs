//! Archives in cpio's "newc" format, which the kernel unpacks into its first file system. Several may stand behind each
//! other.

/// An archive that grows.
pub(super) struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

/// Kinds of entries, as in `st_mode`.
const FOLDER: u32 = 0o04_0755;
const REGULAR: u32 = 0o10_0000;
const LINK: u32 = 0o12_0777;

/// Entries start at multiples of this, and so do their contents.
const ALIGN: usize = 4;

impl Archive {
    /// An empty one; `inode` is the first number of a file, apart from those of archives behind or before.
    pub(super) fn new(inode: u32) -> Archive {
        Archive { bytes: Vec::new(), inode }
    }

    pub(super) fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER, &[]);
    }

    pub(super) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.entry(path, REGULAR | permissions, content);
    }

    pub(super) fn link(&mut self, path: &str, to: &str) {
        self.entry(path, LINK, to.as_bytes());
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        let links = if mode == FOLDER { 2 } else { 1 };
        // inode, mode, user, group, links, time, size, device and its two, name's length, checksum.
        let fields = [self.inode, mode, 0, 0, links, 0, content.len() as u32, 0, 0, 0, 0, path.len() as u32 + 1, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn a_file_is_written_as_newc_says() {
        let mut archive = Archive::new(0);
        archive.file("init", 0o755, b"hi");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("070701"), "{text}");
        assert_eq!(&text[6 + 8..6 + 16], "000081ed", "mode");
        assert_eq!(&text[6 + 6 * 8..6 + 7 * 8], "00000002", "size");
        assert_eq!(&text[110..115], "init\0");
        assert_eq!(&text[116..118], "hi");
        assert_eq!(&text[120..126], "070701", "the trailer is aligned");
        assert_eq!(bytes.len() % 4, 0);
    }
}
