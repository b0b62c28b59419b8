//! Bytes as a string literal, in lines that C and Rust read alike.

/// The longest line.
const WIDTH: usize = 80;

/// Escapes of all bytes, in lines that each end with the `\` that joins it to the next.
pub(super) fn lines(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    let mut column = 0;
    for byte in bytes {
        let escape = if *byte == 0 { r"\0".to_owned() } else { format!(r"\x{byte:02x}") };
        if column + escape.len() >= WIDTH {
            out.push_str("\\\n");
            column = 0;
        }
        out.push_str(&escape);
        column += escape.len();
    }
    out
}
