//! Objects that are part of the binary, packed to a quarter of their size by `build.rs`.

use flate2::read::MultiGzDecoder;
use std::{io::Read, sync::LazyLock};

/// Unpacked when it is first looked at.
pub(crate) type Packed = LazyLock<Vec<u8>>;

/// The object of this name.
macro_rules! packed {
    ($name:literal) => {
        std::sync::LazyLock::new(|| $crate::packed::unpacked(include_bytes!(concat!(env!("OUT_DIR"), "/", $name))))
    };
}

/// What was packed; what is not the binary's own would be an object that ends too early.
pub(crate) fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut object = Vec::new();
    let _ = MultiGzDecoder::new(packed).read_to_end(&mut object);
    object
}

#[cfg(test)]
mod tests {
    use super::Packed;

    #[test]
    fn what_is_packed_is_the_object() {
        let object: Packed = packed!("lb.bpf.o");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../examples/lb.bpf.o");
        assert!(*object == std::fs::read(path).expect("the object"));
    }
}
