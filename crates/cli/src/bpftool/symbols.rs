//! The kernel's symbols, by address: what `/proc/kallsyms` shows, loaded programs among them.

use alveary_sort::Sort;
use std::{cmp::Ordering, fs};

/// The table as the kernel shows it to us.
const SYMBOLS: &str = "/proc/kallsyms";

/// The function that helpers are called relative to.
const CALL_BASE: &str = "__bpf_call_base";

/// The kernel's symbols.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    text: String,
    /// Addresses in order, and where in `text` the name begins.
    by_address: Vec<(u64, u32)>,
    call_base: u64,
}

impl Symbols {
    /// All of them; none if the kernel hides their addresses (`kernel.kptr_restrict`).
    pub(crate) fn read() -> Symbols {
        Symbols::parse(fs::read_to_string(SYMBOLS).unwrap_or_default())
    }

    fn parse(text: String) -> Symbols {
        let (mut by_address, mut call_base) = (Vec::new(), 0);
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            // `ffffffff814ca650 T __bpf_call_base`, a module's name in brackets behind it.
            let mut words = line.split_ascii_whitespace();
            let (address, name) = (words.next(), words.nth(1));
            if let (Some(address), Some(name)) = (address.and_then(|a| u64::from_str_radix(a, 16).ok()), name) {
                if name == CALL_BASE {
                    call_base = address;
                }
                if address != 0 {
                    let begins = at + (name.as_ptr() as usize - line.as_ptr() as usize);
                    by_address.push((address, begins as u32));
                }
            }
            at += line.len();
        }
        if call_base == 0 {
            return Symbols::default();
        }
        by_address.order_by_key(|(address, _)| *address);
        Symbols { text, by_address, call_base }
    }

    /// The address that helpers are called relative to; 0 if the kernel hides it.
    pub(crate) fn call_base(&self) -> u64 {
        self.call_base
    }

    /// The symbol at exactly this address. Of several, that which a plain bisection comes upon first: it is the one that
    /// bpftool names.
    pub(crate) fn at(&self, address: u64) -> Option<&str> {
        let (mut low, mut high) = (0, self.by_address.len());
        while low < high {
            let middle = low.midpoint(high);
            let (found, begins) = self.by_address[middle];
            match address.cmp(&found) {
                Ordering::Less => high = middle,
                Ordering::Greater => low = middle + 1,
                Ordering::Equal => return self.text.get(begins as usize..)?.split_ascii_whitespace().next(),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Symbols;

    #[test]
    fn symbols_are_found_by_their_address() {
        let text =
            "ffffffff814ca650 T __bpf_call_base\n0000000000000000 A nothing\nffffffffc0001000 t bpf_prog_1_f\t[bpf]\n";
        let symbols = Symbols::parse(text.to_owned());
        assert_eq!(symbols.call_base(), 0xffff_ffff_814c_a650);
        assert_eq!(symbols.at(0xffff_ffff_c000_1000), Some("bpf_prog_1_f"));
        assert_eq!(symbols.at(0xffff_ffff_c000_1001), None);
        assert_eq!(symbols.at(0), None);
    }

    #[test]
    fn hidden_addresses_are_no_addresses() {
        let symbols = Symbols::parse("0000000000000000 T __bpf_call_base\n0000000000001000 A kept\n".to_owned());
        assert_eq!((symbols.call_base(), symbols.at(0x1000)), (0, None));
    }
}
