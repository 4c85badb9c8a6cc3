//! Tests that the driver finds faults.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Form, Run, Target, Watch, shrink};

/// The failure message of a run of `inputs` over `corpus`.
fn failure<S: std::hash::Hash>(form: Form, words: &[&str], corpus: &str, check: impl Fn(&[u8]) -> S) -> Option<String> {
    let target = Target::new("driver", form, words);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let watch = Watch::begin("driver", 7);
        let (seen, kept) = (std::collections::HashSet::new(), Vec::new());
        let mut run = Run { target, seed: 7, check: &check, watch, seen, kept, given: 0, tried: 0 };
        run.try_input("first", corpus.into());
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..400_000 {
            let input = run.changed(&mut rng);
            run.try_input("", input);
        }
    }));
    result.err().map(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

/// Six right bytes are found one after the other, not all at once by chance.
#[test]
fn results_lead_the_way_into_a_parser() {
    let message = failure(Form::Bytes, &[], "seed", |input| {
        let right = input.iter().zip(b"parser").take_while(|(a, b)| a == b).count();
        assert!(right < 4, "it is in");
        right
    });
    let message = message.expect("it is found");
    assert!(message.contains("it is in") && message.contains("FUZZ_SEED=7 FUZZ_INPUTS="), "{message}");
    assert!(message.contains("smallest input (4 bytes") && message.contains("\npars"), "{message}");
}

#[test]
fn members_are_found_at_any_place() {
    let message = failure(Form::Json, &["deep", "text"], r#"{"a":[{"b":1}],"c":"d"}"#, |input| {
        let document = serde_json::from_slice::<serde_json::Value>(input).unwrap_or_default();
        let found = document.pointer("/a/0/deep").is_some_and(|value| value == "text");
        assert!(!found, "it is there");
        document.is_object()
    });
    assert!(message.expect("it is found").contains("it is there"));
}

#[test]
fn memory_is_counted() {
    let message = failure(Form::Bytes, &[], "aaaa", |input| {
        let room = if input.len() > 8 { 64 << 20 } else { 0 };
        Vec::<u8>::with_capacity(room).capacity()
    });
    assert!(message.expect("it is found").contains("bytes of memory"));
}

#[test]
fn the_smallest_input_is_found() {
    let small = shrink::smallest(b"....a......b....", |input| input.contains(&b'a') && input.contains(&b'b'));
    assert_eq!(small, b"ab");
}
