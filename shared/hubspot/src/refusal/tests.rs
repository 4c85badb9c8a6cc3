use super::*;

fn refusal(status: u16, body: &str) -> CrmError {
    Refusal::of_read(status, body.as_bytes()).into_error("the list of deals", "crm.objects.deals.read")
}

fn scopes(body: &str) -> Vec<String> {
    match refusal(403, body).kind {
        CrmErrorKind::MissingScopes(scopes) => scopes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn missing_scopes_are_found_in_every_known_form() {
    let granular = r#"{"status":"error","category":"MISSING_SCOPES","errors":[{"message":"one of these is needed",
        "context":{"requiredScopes":["contacts"],"requiredGranularScopes":["crm.objects.contacts.read"]}}]}"#;
    assert_eq!(scopes(granular), ["crm.objects.contacts.read"]);
    let old = r#"{"category":"MISSING_SCOPES","errors":[{"context":{"requiredScopes":["tickets","contacts"]}}]}"#;
    assert_eq!(scopes(old), ["contacts", "tickets"]);
    let message = r#"{"message":"needs any of [crm.schemas.custom.read, crm.objects.custom.read.v2]. See https://developers.hubspot.com/read"}"#;
    assert_eq!(scopes(message), ["crm.objects.custom.read.v2", "crm.schemas.custom.read"]);
}

#[test]
fn a_403_that_names_no_scope_names_what_the_call_needs() {
    assert_eq!(scopes(""), ["crm.objects.deals.read"]);
    assert_eq!(scopes(r#"{"category":"MISSING_SCOPES"}"#), ["crm.objects.deals.read"]);
}

#[test]
fn a_403_for_another_reason_is_a_refusal() {
    let error = refusal(403, r#"{"category":"BANNED","message":"This account is suspended."}"#);
    assert_eq!(error.kind, CrmErrorKind::Forbidden);
    assert_eq!(error.sentence, "HubSpot refuses the list of deals (403, BANNED): This account is suspended.");
}

/// B2, C5: HubSpot names scopes beside the message, with names that its settings do not have.
#[test]
fn the_scope_in_the_settings_is_named_beside_hubspots_word() {
    let error = refusal(
        403,
        r#"{"status":"error","message":"This app hasn't been granted all required scopes to make this call.",
            "correlationId":"x","context":{"requiredGranularScopes":["custom-object-read"]},
            "category":"MISSING_SCOPES"}"#,
    );
    assert_eq!(error.kind, CrmErrorKind::MissingScopes(vec!["crm.objects.deals.read".into()]));
    assert!(error.sentence.contains("crm.objects.deals.read (in HubSpot's words custom-object-read)"), "{error}");
}

/// B3: an API that is not public is refused with any category or none.
#[test]
fn an_api_that_is_not_public_is_forbidden_whatever_the_category() {
    for category in [r#""category":"MISSING_SCOPES","#, r#""category":"FORBIDDEN","#, ""] {
        let body =
            format!(r#"{{{category}"message":"The scope needed for this API call isn't available for public use."}}"#);
        let error = refusal(403, &body);
        assert_eq!(error.kind, CrmErrorKind::Forbidden, "{error}");
        assert!(error.sentence.contains("isn't available for public use"), "{error}");
    }
    assert_eq!(refusal(403, r#"{"category":"FORBIDDEN"}"#).kind, CrmErrorKind::Forbidden);
}

/// B4: the error repeats HubSpot's message and names no scope.
#[test]
fn a_users_permission_is_not_a_scope() {
    let error = refusal(
        403,
        r#"{"status":"error","message":"User 77 doesn't have permission (requires one of [deals-read])"}"#,
    );
    assert_eq!(error.kind, CrmErrorKind::Forbidden);
    assert!(error.sentence.contains("(requires one of [deals-read])"), "{error}");
}

#[test]
fn an_unknown_object_type_differs_from_other_refusals() {
    let unknown = refusal(400, r#"{"message":"Unable to infer object type from: p1_boat"}"#);
    assert_eq!(unknown.kind, CrmErrorKind::NotFound);
    assert_eq!(refusal(404, "").kind, CrmErrorKind::NotFound);
    assert_eq!(refusal(400, r#"{"message":"limit is too high"}"#).kind, CrmErrorKind::Refused);
}

#[test]
fn messages_are_cut_and_contain_no_links() {
    let long = format!(r#"{{"message":"see https://example.com/?token=1 \n {}"}}"#, "x".repeat(1_000));
    let error = refusal(400, &long);
    assert!(error.sentence.len() < 250 && !error.sentence.contains("example.com"), "{error}");
}

#[test]
fn the_daily_limit_differs_from_the_others() {
    let policy_of = |kind, name: &str| policy(kind, format!(r#"{{"policyName":"{name}"}}"#).as_bytes());
    for kind in [CallKind::Ordinary, CallKind::Search] {
        assert_eq!(policy_of(kind, "DAILY"), RefusedPolicy::Daily);
        assert_eq!(policy_of(kind, "TEN_SECONDLY_ROLLING"), RefusedPolicy::Rate);
    }
    assert_eq!(policy(CallKind::Ordinary, b""), RefusedPolicy::Rate);
    assert_eq!(policy(CallKind::Search, b""), RefusedPolicy::Searches);
    assert_eq!(policy_of(CallKind::Search, "SECONDLY"), RefusedPolicy::Searches);
}
