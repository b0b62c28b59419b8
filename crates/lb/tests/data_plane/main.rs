//! The data plane, packet by packet: each case names what the maps hold, packets that come in, and what becomes of them,
//! byte for byte. All run on the user target and on the running kernel (there, where bpf(2) is permitted).

mod connections;
mod decap;
mod hash;
mod icmp;
mod ids;
mod malformed;
mod nat;
mod packet;
mod pieces;
mod policy;
mod services;
mod site;
mod size;
mod steps;
mod watched;
mod ways;

#[test]
fn there_are_as_many_cases_as_promised() {
    let all = [ways::cases(), malformed::cases(), services::cases(), connections::cases(), nat::cases()];
    let count: usize = all.iter().map(Vec::len).sum();
    assert!(count >= 400, "{count}");
    let mut names: Vec<&str> = all.iter().flatten().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two cases have one name");
}
