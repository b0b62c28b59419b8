//! The Debian packages that tests and commands use, and what each is for.

use crate::process::{self, command};

struct Package {
    name: &'static str,
    /// What is skipped without it.
    serves: &'static str,
}

const PACKAGES: &[Package] = &[
    Package { name: "clang-19", serves: "rebuilding bpf/, tests that compile C" },
    Package { name: "llvm-19", serves: "rebuilding bpf/, the disassembler against llvm-objdump" },
    Package { name: "clang-14", serves: "cargo xtask libbpf with old objects" },
    Package { name: "gcc-bpf", serves: "cargo xtask libbpf with GCC's objects" },
    Package { name: "libbpf-dev", serves: "rebuilding bpf/, C skeletons, cargo xtask libbpf" },
    Package { name: "linux-libc-dev", serves: "rebuilding bpf/" },
    Package { name: "libxdp1", serves: "tests with objects that nobody here wrote" },
    Package { name: "tcpdump", serves: "classic filters against tcpdump, cargo xtask capture" },
    Package { name: "bpftool", serves: "programs and maps against the kernel's own tool" },
    Package { name: "iproute2", serves: "cargo xtask capture" },
    Package { name: "qemu-system-x86", serves: "other kernels, in virtual machines" },
    Package { name: "xz-utils", serves: "other kernels, in virtual machines" },
    Package { name: "gcc", serves: "the C interface's example" },
    Package { name: "libc6-dev", serves: "the C interface's example" },
    Package { name: "qemu-user", serves: "the engine on other machines" },
    Package { name: "gcc-aarch64-linux-gnu", serves: "the engine on aarch64" },
    Package { name: "libc6-dev-arm64-cross", serves: "the engine on aarch64" },
    Package { name: "gcc-riscv64-linux-gnu", serves: "code compiled ahead of time for riscv64" },
    Package { name: "libc6-dev-riscv64-cross", serves: "code compiled ahead of time for riscv64" },
    Package { name: "gcc-s390x-linux-gnu", serves: "code compiled ahead of time for s390x" },
    Package { name: "libc6-dev-s390x-cross", serves: "code compiled ahead of time for s390x" },
    Package { name: "valgrind", serves: "cargo xtask dist --order" },
    Package { name: "bird2", serves: "the balancer's routes by BGP" },
    Package { name: "etcd-server", serves: "the balancer's configuration from etcd" },
    Package { name: "etcd-client", serves: "the balancer's configuration from etcd" },
    Package { name: "prometheus", serves: "the balancer's metrics, read by Prometheus" },
    Package { name: "chromium", serves: "the balancer's page" },
    Package { name: "nginx", serves: "the balancer before servers that nobody here wrote" },
    Package { name: "util-linux", serves: "the balancer with three capabilities" },
    Package { name: "g++", serves: "C skeletons used from C++" },
];

/// Installs what is missing, if we are root on Debian; gives a line on each package that stays missing.
pub(crate) fn provide() -> Vec<String> {
    if !process::exists("dpkg-query") {
        return vec!["this is not Debian: tests that need its packages are skipped".into()];
    }
    let missing = || PACKAGES.iter().filter(|package| !is_installed(package.name)).collect::<Vec<_>>();
    let wanted: Vec<&str> = missing().iter().map(|package| package.name).collect();
    if !wanted.is_empty() && process::is_root() && process::exists("apt-get") {
        println!("installing {}", wanted.join(" "));
        if !install(&wanted) {
            // Perhaps the lists are old. One at a time, so that one that cannot be had does not hinder the others.
            drop(process::run(&mut command("apt-get", &["-q", "update"])));
            for name in wanted {
                install(&[name]);
            }
        }
    }
    missing()
        .iter()
        .map(|package| format!("package {} is not installed: {} skipped", package.name, package.serves))
        .collect()
}

fn install(names: &[&str]) -> bool {
    let arguments = ["-q", "-y", "--no-install-recommends", "install"];
    let mut apt = command("apt-get", &arguments);
    process::run(apt.args(names).env("DEBIAN_FRONTEND", "noninteractive")).is_ok()
}

fn is_installed(name: &str) -> bool {
    let status = command("dpkg-query", &["-W", "-f=${Status}", name]).output();
    status.is_ok_and(|output| output.stdout == b"install ok installed")
}
