use std::fs;
use std::path::PathBuf;

use sandbox_crm::{PortalConfig, Sandbox, SandboxConfig};
use serde_json::json;

use crate::client::Fixture;

/// A folder of its own that goes away with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("a file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_folder_of_csvs_is_served_as_it_is() {
    let folder = Folder::new("load");
    folder.write(
        "contacts.csv",
        "hs_object_id,email,createdate,Odd name,note\r\n\
         900,b@example.com,2020-05-01,x,\"two\r\nlines, \"\"quoted\"\"\"\r\n\
         30,a@example.com,2019-01-01T00:00:00Z,,=1+1\r\n",
    );
    folder.write("boat.csv", "id,name,length\n5,Ahab,12\n");
    folder.write("conversations.csv", "id,status,spam,createdAt\n8,OPEN,false,2024-01-01T00:00:00Z\n");
    let fixture = Fixture::with(PortalConfig { load: Some(folder.0.clone()), ..PortalConfig::empty() }).await;

    let threads = fixture.get("/conversations/v3/conversations/threads").await.json();
    assert_eq!(
        threads["results"][0],
        json!({
            "id": "8", "status": "OPEN", "spam": false, "createdAt": "2024-01-01T00:00:00Z",
            "latestMessageTimestamp": "2026-10-31T00:00:00.000Z",
        })
    );
    let page = fixture.get("/crm/v3/objects/contacts?properties=email,createdate,Odd%20name,note").await.json();
    assert_eq!(page["results"][0]["id"], "30");
    let first = &page["results"][0]["properties"];
    assert_eq!(
        (&first["createdate"], &first["Odd name"], &first["note"]),
        (&json!("2019-01-01T00:00:00Z"), &json!(null), &json!("=1+1"))
    );
    assert_eq!(page["results"][1]["properties"]["note"], "two\r\nlines, \"quoted\"");
    assert_eq!(page["results"][1]["createdAt"], "2020-05-01T00:00:00.000Z");

    let boats = fixture.get("/crm/v3/schemas").await.json();
    assert_eq!(boats["results"][0]["name"], "boat");
    assert_eq!(
        fixture.get("/crm/v3/objects/p_boat?properties=name,length").await.json()["results"][0]["properties"]["length"],
        "12"
    );
    assert_eq!(fixture.get("/crm/v3/objects/deals").await.ids(), [0_u64; 0]);

    let search = json!({"filterGroups": [{"filters": [
        {"propertyName": "createdate", "operator": "GTE", "value": "2020-01-01T00:00:00Z"}
    ]}]});
    assert_eq!(fixture.post("/crm/v3/objects/contacts/search", search).await.json()["total"], 1);
    let update = json!({"properties": {"email": "new@example.com"}});
    assert_eq!(fixture.patch("/crm/v3/objects/contacts/30", update).await.status, 200);
    let created = fixture.post("/crm/v3/objects/contacts", json!({"properties": {"email": "c@example.com"}})).await;
    let new = fixture
        .get(&format!("/crm/v3/objects/contacts/{}?properties=note", created.json()["id"].as_str().expect("an id")))
        .await
        .json();
    assert_eq!(new["properties"]["note"], json!(null));
}

#[tokio::test]
async fn files_that_cannot_be_read_are_named_with_the_reason() {
    for (text, reason) in [("id,name\nx,1\n", "'x' is not a record id"), ("id,n\n4,1\n4,2\n", "record 4 appears twice")]
    {
        let folder = Folder::new("broken");
        folder.write("contacts.csv", text);
        let default_portal = PortalConfig { load: Some(folder.0.clone()), ..PortalConfig::empty() };
        let refused = Sandbox::start(SandboxConfig { default_portal, ..SandboxConfig::default() }).await;
        let sentence = refused.expect_err("it cannot be read").to_string();
        assert!(sentence.contains("contacts.csv") && sentence.contains(reason), "{sentence}");
    }
}
