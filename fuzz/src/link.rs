//! Any bytes as two objects that are linked.

use crate::budget::within;
use alveary_object::{Input, link, read};

/// The input: the length of the first object in four bytes (little-endian), and both objects.
///
/// Linking takes memory in proportion, and gives the same bytes twice; what comes of it is an object: it can be linked
/// again, and nothing is lost.
pub fn link_objects(bytes: &[u8]) {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return };
    let (first, second) = rest.split_at((u32::from_le_bytes(*len) as usize).min(rest.len()));
    let inputs = [Input { name: "first", bytes: first }, Input { name: "second", bytes: second }];
    let inputs = if second.is_empty() { &inputs[..1] } else { &inputs[..] };
    let linked = match within((256 << 10) + 1024 * bytes.len(), "linking", || link(inputs)) {
        Ok(linked) => linked,
        Err(problems) => {
            assert!(!problems.is_empty());
            return problems.iter().for_each(|problem| assert!(!problem.to_string().is_empty()));
        }
    };
    assert_eq!(link(inputs).expect("it was linked before"), linked);
    let again = link(&[Input { name: "linked", bytes: &linked }]).expect("what was linked is an object");
    match (read(&linked), read(&again)) {
        (Ok(once), Ok(twice)) => {
            assert_eq!(
                format!("{:?} {:?}", once.maps, once.programs),
                format!("{:?} {:?}", twice.maps, twice.programs)
            );
            assert_eq!(once.functions.len(), twice.functions.len());
        }
        (once, twice) => assert_eq!(once.err().map(|e| e.to_string()), twice.err().map(|e| e.to_string())),
    }
}
