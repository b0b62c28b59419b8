//! The kernel's own time, by the wall clock.

use std::{
    mem::MaybeUninit,
    time::{SystemTime, UNIX_EPOCH},
};

/// When something was, in seconds since 1970, of which the kernel tells the nanoseconds `since_boot`.
#[must_use]
pub fn since_epoch(since_boot: u64) -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut boot = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes what it is given, which lives until it returns.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut boot) };
    let nanoseconds = i64::from(wall.subsec_nanos()) - boot.tv_nsec + since_boot as i64;
    wall.as_secs() as i64 - boot.tv_sec + nanoseconds.div_euclid(1_000_000_000)
}

/// A moment in seconds since 1970 as clocks show it here, by `TZ` or `/etc/localtime`: `2026-11-23T15:02:11+0100`. One whose
/// year has no room in an `int` is `@` and the seconds.
#[must_use]
pub fn local_time(since_epoch: i64) -> String {
    let mut at = MaybeUninit::uninit();
    // SAFETY: the call reads the one and writes the other, which both live until it returns. The environment, which it reads
    // the first time, is changed by nobody who does not promise that nobody reads it.
    let shown = unsafe { libc::localtime_r(&raw const since_epoch, at.as_mut_ptr()) };
    if shown.is_null() {
        return format!("@{since_epoch}");
    }
    // SAFETY: the call has written it.
    text(unsafe { at.assume_init_ref() })
}

/// ISO 8601, without a colon in what is ahead of UTC.
fn text(at: &libc::tm) -> String {
    let (year, month) = (i64::from(at.tm_year) + 1900, at.tm_mon + 1);
    let (sign, ahead) = (if at.tm_gmtoff < 0 { '-' } else { '+' }, at.tm_gmtoff.abs() / 60);
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}{sign}{:02}{:02}",
        at.tm_mday,
        at.tm_hour,
        at.tm_min,
        at.tm_sec,
        ahead / 60,
        ahead % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_moment_is_what_date_calls_it() {
        for seconds in [0, 951_782_400, 1_721_000_000, 1_763_906_531, -1, 4_102_444_799] {
            let date = Command::new("date").args(["-d", &format!("@{seconds}"), "+%FT%T%z"]).output().expect("date");
            assert_eq!(local_time(seconds), String::from_utf8_lossy(&date.stdout).trim());
        }
        assert_eq!(local_time(i64::MAX), format!("@{}", i64::MAX));
    }

    #[test]
    fn what_is_ahead_of_utc_has_hours_and_minutes() {
        // SAFETY: numbers and a pointer, which may all be zero.
        let mut at: libc::tm = unsafe { std::mem::zeroed() };
        (at.tm_year, at.tm_mon, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec) = (126, 10, 3, 4, 5, 6);
        for (ahead, expected) in [(0, "+0000"), (3600, "+0100"), (-12_600, "-0330"), (20_700, "+0545")] {
            at.tm_gmtoff = ahead;
            assert_eq!(text(&at), format!("2026-11-03T04:05:06{expected}"));
        }
    }
}
