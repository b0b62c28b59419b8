//! An order of each function's instructions in which most come after those that follow them.

use crate::verifier::Verifier;

/// Finds it, for every function.
pub(super) fn order(v: &mut Verifier<'_>) {
    let mut seen = vec![false; v.program.len() as usize];
    for n in 0..v.program.subprogs.len() {
        let start = v.program.subprogs[n].start;
        let mut order = Vec::new();
        let mut stack = vec![start];
        seen[start as usize] = true;
        while let Some(&at) = stack.last() {
            let fresh = v.program.successors(at).find(|to| !seen[*to as usize]);
            match fresh {
                Some(to) => {
                    seen[to as usize] = true;
                    stack.push(to);
                }
                None => {
                    order.push(at);
                    stack.pop();
                }
            }
        }
        v.program.subprogs[n].postorder = order;
    }
}
