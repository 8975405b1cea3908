//! A seed that fails is cut down to the faults without which it does not.

use crate::scenario;

/// The faults that are needed: each of them is left out in turn, and stays out if it still fails.
fn shrink(count: usize, fails: impl Fn(&[usize]) -> bool) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..count).collect();
    loop {
        let before = kept.len();
        for number in kept.clone() {
            let fewer: Vec<usize> = kept.iter().copied().filter(|other| *other != number).collect();
            if fails(&fewer) {
                kept = fewer;
            }
        }
        // What could not be left out beside another one perhaps can now.
        if kept.len() == before {
            return kept;
        }
    }
}

/// Tells the story of a failing seed, as short as it gets.
pub fn tell(seed: u64, planned: usize) {
    let kept = shrink(planned, |kept| {
        !scenario::run_part(seed, false, Some(kept)).failures.is_empty()
    });
    let list: Vec<String> = kept.iter().map(usize::to_string).collect();
    println!(
        "\nSIMULATION_SEED={seed} SIMULATION_FAULTS={} ({} of {planned} faults)",
        list.join(","),
        kept.len()
    );
    scenario::run_part(seed, true, Some(&kept));
}

#[test]
fn only_what_is_needed_stays() {
    assert_eq!(shrink(9, |kept| kept.contains(&2) && kept.contains(&5)), [2, 5]);
    assert!(shrink(9, |_| true).is_empty());
    // Either of two will do, and the third is needed.
    let either = |kept: &[usize]| kept.contains(&7) && (kept.contains(&0) || kept.contains(&1));
    assert_eq!(shrink(8, either), [1, 7]);
}

#[test]
fn a_seed_without_its_faults_is_the_same_cluster() {
    let (all, none) = (scenario::run(11, false), scenario::run_part(11, false, Some(&[])));
    assert_eq!(all.hosts.len(), none.hosts.len());
    assert_eq!(all.planned, none.planned);
    assert!(none.inflicted.is_empty());
}
