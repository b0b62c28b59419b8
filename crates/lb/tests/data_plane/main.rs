//! The data plane, packet by packet: each case names what the maps hold, packets that come in, and what becomes of them,
//! byte for byte. All run on the user target and on the running kernel (there, where bpf(2) is permitted).

mod connections;
mod decap;
mod features;
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
