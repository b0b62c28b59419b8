//! `alveary lb lab`: connections through all that may happen to a site. Which of them break is asserted, not how long
//! anything takes.

use crate::session::Session;
use alveary_testing::bpf;
use serde_json::Value;
use std::process::Command;

/// What a lab says of its steps.
fn steps(line: &str) -> Vec<Value> {
    let output = Session::new().output(&format!("lb lab {line} --json"));
    assert_eq!(output.code, Some(0), "lb lab {line}: {}\n{}", output.stdout, output.stderr);
    let told: Value = serde_json::from_str(&output.stdout).expect("JSON");
    told["steps"].as_array().expect("steps").clone()
}

/// Beside so many connections there are some flows of datagrams.
fn check(steps: &[Value], connections: u64) {
    for step in steps {
        assert!(step["connections"].as_u64().is_some_and(|there| there > connections), "{step}");
        assert_eq!(step["broken"], step["must"], "{step}");
        assert!(step["asked"].as_u64().is_some_and(|asked| asked > 0), "{step}");
    }
    // What broke with the real that died is what that real had, and no other's.
    let last = steps.last().expect("a last one");
    let by_real = last["by_real"].as_object().expect("reals");
    assert!(by_real.len() == 1 && last["must"].as_u64().is_some_and(|must| must > 0), "{last}");
}

#[test]
fn connections_outlive_all_but_their_real() {
    if !bpf::permitted("lb_lab") {
        return;
    }
    let told = steps("--connections 200");
    check(&told, 200);
    let names: Vec<_> = told.iter().filter_map(|step| step["step"].as_str()).collect();
    for name in
        ["all processes are killed (-9)", "the binary is replaced, restart", "a balancer dies", "it begins anew"]
    {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
}

#[test]
fn so_do_those_behind_nat_and_in_gue() {
    if !bpf::permitted("lb_lab_ways") {
        return;
    }
    check(&steps("--connections 60 --clients 1 --reals 2 --forward nat"), 60);
    check(&steps("--connections 60 --clients 1 --forward gue"), 60);
}

#[test]
fn so_do_those_by_bgp() {
    if !bpf::permitted("lb_lab_bgp") {
        return;
    }
    if Command::new("bird").arg("--version").output().is_err() {
        eprintln!("SKIP lb_lab_bgp: bird is not installed (Debian's bird2)");
        return;
    }
    let told = steps("--connections 100 --bgp");
    check(&told, 100);
    let names: Vec<_> = told.iter().filter_map(|step| step["step"].as_str()).collect();
    for name in ["it begins anew", "it is started again", "it begins anew and asks the others"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
}
