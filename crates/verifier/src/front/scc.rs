//! Loops as strongly connected components (Tarjan's algorithm, without recursion).

use crate::verifier::Verifier;
use alveary_abi::Rule;

/// Gives every instruction that is in a loop its number.
pub(super) fn find(v: &mut Verifier<'_>) {
    let len = v.program.len() as usize;
    // 0: not seen. Numbers count from 1; `low` is the smallest that is reached, `DONE` once the component is known.
    const DONE: u32 = u32::MAX;
    let (mut number, mut low) = (vec![0u32; len], vec![0u32; len]);
    let (mut next_number, mut next_scc) = (1u32, 1u32);
    let (mut stack, mut path): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let starts: Vec<u32> = v.program.subprogs.iter().map(|s| s.start).collect();
    for start in starts {
        if number[start as usize] != 0 {
            continue;
        }
        path.push(start);
        while let Some(&at) = path.last() {
            let here = at as usize;
            if number[here] == 0 {
                number[here] = next_number;
                low[here] = next_number;
                next_number += 1;
                stack.push(at);
            }
            if let Some(fresh) = v.program.successors(at).find(|to| number[*to as usize] == 0) {
                path.push(fresh);
                continue;
            }
            for to in v.program.successors(at) {
                low[here] = low[here].min(low[to as usize]);
            }
            path.pop();
            if low[here] < number[here] {
                continue;
            }
            let alone = stack.last() == Some(&at);
            let itself = v.program.successors(at).any(|to| to == at);
            let calls_back = v.program.aux[here].calls_back && v.profile.has(Rule::CallbackLoops);
            let is_loop = !alone || itself || calls_back;
            while let Some(member) = stack.pop() {
                low[member as usize] = DONE;
                if is_loop {
                    v.program.aux[member as usize].scc = next_scc;
                }
                if member == at {
                    break;
                }
            }
            next_scc += u32::from(is_loop);
        }
    }
}
