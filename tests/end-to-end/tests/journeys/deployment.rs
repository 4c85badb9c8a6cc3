//! What is deployed protects what it holds: read in the template, and in the emulator where that keeps it.

use dev_stack::failure::Result;
use dev_stack::places::Places;
use end_to_end::aws::Aws;
use end_to_end::journey::{Journey, stack};
use serde_json::{Value, json};

fn template(aws: Aws<'_>) -> Result<Value> {
    aws.template(&Places::find()?.root().join("infra/template.yaml"))
}

/// All resources of a type, by their name in the template.
fn of_type<'a>(template: &'a Value, kind: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    template["Resources"].as_object().into_iter().flatten().filter(move |(_, resource)| resource["Type"] == kind)
}

#[test]
fn the_template_keeps_and_protects_what_is_stored() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let template = template(Aws::of(&stack))?;
    let resources = &template["Resources"];

    for (kept, policy) in [
        ("Key", "RetainExceptOnCreate"),
        ("Bucket", "RetainExceptOnCreate"),
        ("BucketPolicy", "RetainExceptOnCreate"),
        ("Ledger", "Retain"),
        ("AuditLog", "Retain"),
        ("UserPool", "Retain"),
    ] {
        let policies = (&resources[kept]["DeletionPolicy"], &resources[kept]["UpdateReplacePolicy"]);
        assert_eq!(policies, (&json!(policy), &json!("Retain")), "{kept}");
    }
    for protected in ["Ledger", "AuditLog"] {
        assert_eq!(resources[protected]["Properties"]["DeletionProtectionEnabled"], true, "{protected}");
    }
    assert_eq!(resources["UserPool"]["Properties"]["DeletionProtection"], "ACTIVE");
    assert_eq!(resources["Key"]["Properties"]["EnableKeyRotation"], true);
    let bucket = &resources["Bucket"]["Properties"];
    let key = json!({ "Fn::GetAtt": ["Key", "Arn"] });
    assert_eq!(
        bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"],
        json!([{
            "BucketKeyEnabled": true,
            "ServerSideEncryptionByDefault": { "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key },
        }])
    );
    let blocked = bucket["PublicAccessBlockConfiguration"].as_object();
    assert_eq!(blocked.map(|all| all.values().filter(|is| **is == json!(true)).count()), Some(4));
    assert_eq!(
        bucket["LifecycleConfiguration"]["Rules"],
        json!([
            { "Id": "archives", "Status": "Enabled", "Prefix": "archives/", "ExpirationInDays": 14 },
            { "Id": "segments", "Status": "Enabled", "Prefix": "segments/", "ExpirationInDays": 14 },
            { "Id": "plans", "Status": "Enabled", "Prefix": "plans/", "ExpirationInDays": 2 },
            { "Id": "restores", "Status": "Enabled", "Prefix": "restores/", "ExpirationInDays": 90 },
            { "Id": "exports", "Status": "Enabled", "Prefix": "exports/", "ExpirationInDays": 1 },
            {
                "Id": "unfinished-uploads", "Status": "Enabled",
                "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 7 },
            },
        ])
    );
    let policy = &resources["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][0];
    assert_eq!((&policy["Effect"], &policy["Principal"]), (&json!("Deny"), &json!("*")));
    assert_eq!(policy["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }));
    for name in ["Ledger", "AuditLog"] {
        let table = &resources[name]["Properties"];
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
        assert_eq!(table["PointInTimeRecoverySpecification"], json!({ "PointInTimeRecoveryEnabled": true }));
        assert_eq!(table["TimeToLiveSpecification"], json!({ "AttributeName": "forgetAt", "Enabled": true }));
        assert_eq!(table["SSESpecification"], json!({ "SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": key }));
    }
    Ok(())
}

/// A stolen token must not be enough to change its user's address, password or second factor.
#[test]
fn the_template_lets_users_in_at_cognitos_pages_alone() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let template = template(Aws::of(&stack))?;
    let client = &template["Resources"]["UserPoolClient"]["Properties"];
    assert_eq!(client["AllowedOAuthFlows"], json!(["code"]));
    assert_eq!(client["AllowedOAuthScopes"], json!(["openid", "email"]));
    let flows = json!(["ALLOW_ADMIN_USER_PASSWORD_AUTH"]);
    assert_eq!(client["ExplicitAuthFlows"]["Fn::If"], json!(["IsEmulated", ["ALLOW_USER_PASSWORD_AUTH"], flows]));
    assert_eq!(client["RefreshTokenRotation"]["Feature"], "ENABLED");
    assert_eq!(client["IdTokenValidity"]["Fn::If"], json!(["IsEmulated", 60, 15]));
    let pool = &template["Resources"]["UserPool"]["Properties"];
    assert_eq!((&pool["MfaConfiguration"], &pool["EnabledMfas"]), (&json!("ON"), &json!(["SOFTWARE_TOKEN_MFA"])));
    assert_eq!(pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"], true);
    assert_eq!(pool["AccountRecoverySetting"]["RecoveryMechanisms"], json!([{ "Name": "admin_only", "Priority": 1 }]));
    Ok(())
}

#[test]
fn the_template_lets_nothing_fail_in_silence() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let template = template(Aws::of(&stack))?;
    let functions: Vec<_> = of_type(&template, "AWS::Serverless::Function").collect();
    assert_eq!(functions.len(), 12);

    let alarms: Vec<_> = of_type(&template, "AWS::CloudWatch::Alarm").map(|(_, alarm)| &alarm["Properties"]).collect();
    let watched = |dimension: &Value| alarms.iter().any(|alarm| alarm["Dimensions"][0]["Value"] == *dimension);
    let mut roles = Vec::new();
    for (name, function) in functions {
        let function = &function["Properties"];
        assert!(watched(&json!({ "Ref": name })), "no alarm for errors of {name}");
        let log = &template["Resources"][function["LoggingConfig"]["LogGroup"]["Ref"].as_str().unwrap_or_default()];
        assert_eq!(log["Properties"]["RetentionInDays"], json!({ "Ref": "LogRetentionDays" }), "{name}");
        roles.push(function["Role"].to_string());
        for event in function["Events"].as_object().into_iter().flat_map(|events| events.values()) {
            if event["Type"] == "SQS" {
                let event = &event["Properties"];
                assert_eq!(event["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{name}");
                assert!(!event["ScalingConfig"]["MaximumConcurrency"].is_null(), "{name}");
            }
        }
    }
    let count = roles.len();
    roles.sort_unstable();
    roles.dedup();
    assert_eq!(roles.len(), count, "every function has a role of its own");
    for (name, queue) in of_type(&template, "AWS::SQS::Queue").filter(|(name, _)| name.ends_with("Queue")) {
        let redrive = &queue["Properties"]["RedrivePolicy"];
        assert_eq!(redrive["maxReceiveCount"], 5, "{name}");
        let letters = redrive["deadLetterTargetArn"]["Fn::GetAtt"][0].as_str().unwrap_or_default();
        assert!(watched(&json!({ "Fn::GetAtt": [letters, "QueueName"] })), "no alarm for dead letters of {name}");
    }
    assert!(alarms.iter().any(|alarm| alarm["MetricName"] == "OldestStalledSeconds"));
    // That functions log this event is seen in `logs.rs`.
    for (event, metric, logs) in [
        (
            "backup.failed",
            "FailedBackups-${AWS::StackName}",
            &["DiscoverObjectsLog", "ExportChunkLog", "AssembleArchiveLog", "RecoverStalledLog"][..],
        ),
        ("restore.failed", "FailedRestores-${AWS::StackName}", &["RestoreChunkLog", "RecoverStalledLog"]),
    ] {
        for log in logs {
            let counted = of_type(&template, "AWS::Logs::MetricFilter").any(|(_, filter)| {
                let filter = &filter["Properties"];
                filter["LogGroupName"]["Ref"] == *log
                    && filter["FilterPattern"] == format!(r#"{{ $.message = "{event}" }}"#)
                    && filter["MetricTransformations"][0]["MetricName"]["Fn::Sub"] == metric
            });
            assert!(counted, "{event} in {log} is not counted");
        }
        let watched = alarms.iter().any(|alarm| alarm["MetricName"]["Fn::Sub"] == metric);
        assert!(watched, "no alarm for {event}");
    }
    // self-test reads nothing that is stored.
    let read_nothing = ["ApiAccessLog", "SelfTestLog"];
    let logs = of_type(&template, "AWS::Logs::LogGroup").map(|(name, _)| name);
    for log in logs.filter(|name| !read_nothing.contains(&name.as_str())) {
        let counted = of_type(&template, "AWS::Logs::MetricFilter").any(|(_, filter)| {
            let filter = &filter["Properties"];
            filter["LogGroupName"]["Ref"] == *log
                && filter["FilterPattern"]
                    == r#"{ $.message = "stored.unreadable" || $.message = "message.unreadable" }"#
                && filter["MetricTransformations"][0]["MetricName"]["Fn::Sub"] == "Unreadable-${AWS::StackName}"
        });
        assert!(counted, "what {log} says to be unreadable is not counted");
    }
    assert!(alarms.iter().any(|alarm| alarm["MetricName"]["Fn::Sub"] == "Unreadable-${AWS::StackName}"));
    for (name, role) in of_type(&template, "AWS::IAM::Role") {
        let text = role["Properties"]["Policies"].to_string();
        assert!(!text.contains(r#""Resource":"*""#) && !text.contains(r#":*""#), "{name} may do too much");
    }
    Ok(())
}

#[test]
fn what_is_deployed_is_what_the_template_says() -> Result<()> {
    let portal = json!({ "seed": 36, "propertySet": "tiny", "records": { "tasks": 3 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let backup = journey.complete_backup()?;
    let archive = journey.aws().keys(&format!("archives/{}/{}/", journey.account_id, backup.backup_id))?;
    assert_eq!(archive.len(), 2, "the archive and its manifest: {archive:?}");
    for key in &archive {
        let encryption = journey.aws().encryption(key)?;
        assert_eq!(encryption["ServerSideEncryption"], "aws:kms", "{key}");
    }

    let deployed = journey.aws().deployed()?;
    let days = |prefix: &str| {
        let rules = deployed["lifecycle"].as_array().into_iter().flatten();
        rules.filter(|rule| rule["Filter"]["Prefix"] == prefix).find_map(|rule| rule["Expiration"]["Days"].as_u64())
    };
    assert_eq!((days("archives/"), days("segments/")), (Some(14), Some(14)), "{}", deployed["lifecycle"]);
    assert_eq!((days("plans/"), days("restores/")), (Some(2), Some(90)), "{}", deployed["lifecycle"]);
    assert_eq!(deployed["encryption"][0]["BucketKeyEnabled"], true);
    let forgetting = deployed["timeToLive"].as_array().into_iter().flatten();
    let forgetting: Vec<_> = forgetting.map(|table| table["AttributeName"].as_str()).collect();
    assert_eq!(forgetting, [Some("forgetAt"), Some("forgetAt")], "the ledger and the audit log");
    assert_eq!(days("exports/"), Some(1), "{}", deployed["lifecycle"]);
    assert_eq!(deployed["userPoolMfa"]["MfaConfiguration"], "ON");
    assert_eq!(deployed["userPool"]["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"], true);
    assert_eq!(deployed["functions"].as_array().map(Vec::len), Some(12));
    for mapping in deployed["mappings"].as_array().into_iter().flatten() {
        assert_eq!(mapping["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{mapping}");
    }
    for (name, queue) in deployed["queues"].as_object().into_iter().flatten() {
        assert!(queue["RedrivePolicy"].as_str().is_some_and(|policy| policy.contains("deadLetterTargetArn")), "{name}");
    }
    Ok(())
}
