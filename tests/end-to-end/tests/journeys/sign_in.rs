//! Who the API lets in at all, and what it says about itself to everyone.

use dev_stack::failure::{OrFailure, Result};
use dev_stack::places::Places;
use end_to_end::aws::Aws;
use end_to_end::journey::{expect, new_account_id, stack};
use end_to_end::operations::{Operation, operations};
use serde_json::{Value, json};

#[test]
fn the_api_describes_itself_and_lets_nobody_in_without_a_valid_token() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let description = expect(200, stack.api().get("/openapi.json")?)?.json();
    let file = Places::find()?.root().join("shared/http-api/openapi.json");
    let written = std::fs::read(file).or_failure(|| "cannot read openapi.json".to_owned())?;
    assert_eq!(serde_json::from_slice::<Value>(&written).ok().as_ref(), Some(&description));

    let account_id = new_account_id();
    let valid = stack.users.new_super_admin(&account_id)?.id_token;
    let tokens = [
        ("no token", None),
        ("what is no token at all", Some("garbage".to_owned())),
        ("a token of somebody else's making", Some(forged(&valid))),
        ("a token whose signature was cut", Some(valid[..valid.len() - 8].to_owned())),
        ("a token that has expired", Some(Aws::of(&stack).expired(&valid)?)),
    ];
    let routes = operations(&stack.api(), &account_id)?;
    assert_eq!(routes.len(), 26, "{routes:?}");
    for Operation { method, path, .. } in &routes {
        for (what, token) in &tokens {
            let api = stack.api();
            let api = token.as_ref().map_or(api.clone(), |token| api.with_token(token));
            let answer = api.send(method, path, &[], Vec::new())?;
            let refusal = (answer.status.as_u16(), answer.json());
            assert_eq!(refusal, (401, json!({ "message": "Unauthorized" })), "{method} {path} with {what}");
        }
    }
    // The very same requests get past the gateway with the token that all of these were made of.
    for Operation { method, path, .. } in &routes {
        let answer = stack.api().with_token(&valid).send(method, path, &[], Vec::new())?;
        let status = answer.status.as_u16();
        // A missing body is refused before anything is looked up.
        assert!(matches!(status, 400 | 404 | 422), "{method} {path}: {}", answer.text());
    }
    Ok(())
}

/// The token with one character of its claims changed.
fn forged(token: &str) -> String {
    let place = token.find('.').map_or(0, |dot| dot + 20);
    let other = if &token[place..=place] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..place], &token[place + 1..])
}
