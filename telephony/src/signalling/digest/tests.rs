use super::*;

const NOW: Duration = Duration::from_secs(1_000);
const USERS: &str = "anna:se:cret\nbob:hidden\n";

const QUESTION: Question<'static> = Question {
    method: "INVITE",
    uri: "sip:1001@192.0.2.1",
    realm: "voicemail",
    algorithms: &[Algorithm::Sha256, Algorithm::Md5],
};

fn parameter(challenge: &str, name: &str) -> String {
    let rest = challenge.split_once(&format!("{name}=")).unwrap().1;
    rest.split(',').next().unwrap().trim_matches('"').to_owned()
}

/// As a telephone answers.
fn answer(nonce: &str, user: &str, password: &str, count: u32, algorithm: Algorithm) -> String {
    let hash = |text: String| algorithm.hash(&text).to_string();
    let (first, second) =
        (hash(format!("{user}:voicemail:{password}")), hash("INVITE:sip:1001@192.0.2.1".into()));
    let response = hash(format!("{first}:{nonce}:{count:08x}:c1:auth:{second}"));
    format!(
        "Digest username=\"{user}\", realm=\"voicemail\",nonce=\"{nonce}\" , uri=\"sip:1001@192.0.2.1\", \
         response=\"{response}\", algorithm={}, cnonce=\"c1\", qop=auth, nc={count:08x}",
        algorithm.name()
    )
}

fn check(answer: &str, nonces: &Nonces, now: Duration) -> Result<(), Denied> {
    QUESTION.check(std::iter::once(answer), USERS, nonces, now)
}

fn nonce_of(nonces: &Nonces) -> String {
    parameter(&QUESTION.challenge(nonces, Denied::Unasked, NOW)[0], "nonce")
}

#[test]
fn the_example_of_rfc_7616_comes_out() {
    // RFC 7616, 3.9.1.
    let question = Question {
        method: "GET",
        uri: "/dir/index.html",
        realm: "http-auth@example.org",
        algorithms: QUESTION.algorithms,
    };
    let given = Answer {
        user: "Mufasa".into(),
        realm: question.realm.into(),
        nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".into(),
        uri: question.uri.into(),
        client_nonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".into(),
        count: "00000001".into(),
        quality: "auth".into(),
        ..Answer::default()
    };
    let response = |algorithm| question.response(algorithm, &given, "Circle of Life").to_string();
    assert_eq!(response(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(
        response(Algorithm::Sha256),
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    );
}

#[test]
fn a_right_answer_is_taken_once_for_each_count() {
    let nonces = Nonces::new().unwrap();
    for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
        let nonce = nonce_of(&nonces);
        for count in 1..=300 {
            let given = answer(&nonce, "anna", "se:cret", count, algorithm);
            assert_eq!(check(&given, &nonces, NOW), Ok(()), "{count}");
            assert_eq!(check(&given, &nonces, NOW), Err(Denied::Stale), "{count}");
        }
    }
}

#[test]
fn whoever_is_wrong_is_told_the_same() {
    let nonces = Nonces::new().unwrap();
    let nonce = nonce_of(&nonces);
    let right = answer(&nonce, "bob", "hidden", 1, Algorithm::Sha256);
    for (name, wrong) in [
        ("password", answer(&nonce, "bob", "guess", 1, Algorithm::Sha256)),
        ("user", answer(&nonce, "eve", "", 1, Algorithm::Sha256)),
        ("uri", right.replace("sip:1001", "sip:1002")),
        ("quality", right.replace("qop=auth", "qop=auth-int")),
        ("none", right.replace(", qop=auth", "")),
        ("count", right.replace("nc=00000001", "nc=1")),
        ("zero", answer(&nonce, "bob", "hidden", 0, Algorithm::Sha256)),
        ("algorithm", right.replace("SHA-256", "SHA-512")),
    ] {
        assert_eq!(check(&wrong, &nonces, NOW), Err(Denied::Wrong), "{name}");
    }
    assert_eq!(
        check(&right.replace("realm=\"voicemail\"", "realm=\"pbx\""), &nonces, NOW),
        Err(Denied::Unasked)
    );
    // Who knows the password may try again with a nonce of ours: theirs was another pod's.
    assert_eq!(
        check(&answer("AAAA", "bob", "hidden", 1, Algorithm::Sha256), &nonces, NOW),
        Err(Denied::Stale)
    );
    assert_eq!(check("Basic YQ==", &nonces, NOW), Err(Denied::Unasked));
    assert_eq!(check(&right, &nonces, NOW + Duration::from_secs(301)), Err(Denied::Stale));
    assert_eq!(check(&right, &nonces, NOW), Ok(()));
}

#[test]
fn only_algorithms_that_are_offered_are_taken() {
    let nonces = Nonces::new().unwrap();
    let question = Question { algorithms: &[Algorithm::Sha256], ..QUESTION };
    let challenges = question.challenge(&nonces, Denied::Stale, NOW);
    assert!(challenges.len() == 1 && challenges[0].ends_with("algorithm=SHA-256, qop=\"auth\", stale=true"));
    let given = answer(&parameter(&challenges[0], "nonce"), "bob", "hidden", 1, Algorithm::Md5);
    let denied = question.check(std::iter::once(given.as_str()), USERS, &nonces, NOW);
    assert_eq!(denied, Err(Denied::Wrong));
    // Who names none means MD5.
    let unnamed = given.replace("algorithm=MD5, ", "");
    assert_eq!(question.check(std::iter::once(unnamed.as_str()), USERS, &nonces, NOW), Err(Denied::Wrong));
}

proptest::proptest! {
    #[test]
    fn no_header_makes_it_fail(text in "(Digest )?.{0,120}") {
        let nonces = Nonces::new().unwrap();
        proptest::prop_assert!(check(&text, &nonces, NOW).is_err());
    }
}
