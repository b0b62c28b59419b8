use super::*;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn garbage_waits_for_the_readers_that_may_have_seen_it() {
    let domain = Domain::new();
    let dropped = Arc::new(AtomicU32::new(0));
    let (first, second) = (domain.reader(), domain.reader());
    domain.retire(Box::new(Counted(dropped.clone())));
    assert_eq!(dropped.load(Relaxed), 1, "nobody is inside");

    let inside = first.enter();
    domain.retire(Box::new(Counted(dropped.clone())));
    let later = second.enter();
    assert_eq!((domain.collect(), dropped.load(Relaxed)), (1, 1));
    let nested = first.enter();
    drop(inside);
    assert_eq!((domain.collect(), dropped.load(Relaxed)), (1, 1), "still inside the nested batch");
    drop(nested);
    assert_eq!(dropped.load(Relaxed), 2, "who entered later does not hold it up");
    drop(later);
    assert_eq!(domain.collect(), 0);
}
