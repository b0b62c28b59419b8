//! What the BIRDs of a lab are told: the router's, and those of the balancers, to which `serve` adds its own.

use super::site::FOLDER;
use std::path::{Path, PathBuf};

/// Numbers of autonomous systems: the router's, and that of all balancers, so that their ways are equal.
const ROUTER: u32 = 65_000;
const BALANCERS: u32 = 65_001;
const TIMERS: &str = "connect delay time 1;\n\tconnect retry time 1;\n\terror wait time 1, 2;\n\thold time 9;";

/// The control socket of a BIRD.
pub(super) fn socket(name: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{name}-bird.ctl"))
}

/// What a balancer announces.
pub(super) fn routes(name: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{name}-routes.conf"))
}

/// The router's configuration.
pub(super) fn router(balancers: u8) -> String {
    let mut text = "router id 10.9.0.1;\nprotocol device { scan time 1; }\n\
         protocol kernel { merge paths yes; ipv4 { import none; export all; }; }\n\
         protocol bfd { interface \"lb*\" { interval 100 ms; multiplier 3; }; }\n"
        .to_owned();
    for number in 1..=balancers {
        text += &format!(
            "protocol bgp lb{number} {{\n\tlocal 10.9.{number}.1 as {ROUTER};\n\tneighbor 10.9.{number}.2 as {BALANCERS};\n\t\
             bfd on;\n\t{TIMERS}\n\tipv4 {{ import all; export none; }};\n}}\n"
        );
    }
    text
}

/// A balancer's, without what it announces.
pub(super) fn balancer(number: u8, name: &str) -> String {
    format!(
        "router id 10.9.{number}.2;\nprotocol device {{ scan time 1; }}\ninclude \"{FOLDER}/{name}-routes*.conf\";\n"
    )
}

/// What a balancer is told of that.
pub(super) fn announce(number: u8, name: &str) -> String {
    format!(
        "[announce]\nfile = \"{}\"\nbird = \"{}\"\nas = {BALANCERS}\nbfd = \"100ms\"\n\
         peer = [{{ address = \"10.9.{number}.1\", as = {ROUTER} }}]\n\n",
        routes(name).display(),
        socket(name).display()
    )
}
