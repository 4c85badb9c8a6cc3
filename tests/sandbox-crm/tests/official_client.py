"""HubSpot's own Python client against the sandbox: python official_client.py BASE_URL TOKEN.

Needs `pip install hubspot-api-client==12.0.0`. The client gets only the address of the CRM.
"""

import sys

import hubspot
from hubspot.crm.contacts import (
    ApiException,
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectId,
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)

base_url, token = sys.argv[1:3]


def at_sandbox(api):
    """Points one of the client's APIs, which all have a configuration of their own, to the sandbox."""
    api.api_client.configuration.host = base_url
    return api


client = hubspot.Client.create(access_token=token)
contacts = at_sandbox(client.crm.contacts.basic_api)
batch = at_sandbox(client.crm.contacts.batch_api)

# The cursors lead to the end.
everyone = []
after = None
while True:
    page = contacts.get_page(limit=100, after=after, properties=["email", "firstname", "fax"])
    everyone.extend(page.results)
    if page.paging is None:
        break
    after = page.paging.next.after
assert len(everyone) == 1000, len(everyone)
assert everyone[0].created_at.year >= 2014 and everyone[0].archived is False

# It writes the flag as `True`.
binned = contacts.get_page(limit=100, archived=True).results
assert binned and all(record.archived for record in binned)
assert not {record.id for record in binned} & {record.id for record in everyone}

created = contacts.create(SimplePublicObjectInputForCreate(properties={"email": "jo@example.com"}, associations=[]))
assert created.properties["email"] == "jo@example.com"
updated = contacts.update(created.id, SimplePublicObjectInput(properties={"firstname": "Jo"}))
assert updated.updated_at > created.created_at
assert contacts.get_by_id(created.id, properties=["firstname"]).properties["firstname"] == "Jo"

ids = [everyone[0].id, everyone[1].id]
read = batch.read(
    BatchReadInputSimplePublicObjectId(
        inputs=[{"id": i} for i in ids], properties=["email"], properties_with_history=[]
    )
)
assert read.status == "COMPLETE" and sorted(r.id for r in read.results) == sorted(ids)
changed = batch.update(
    BatchInputSimplePublicObjectBatchInput(inputs=[{"id": i, "properties": {"city": "Ulm"}} for i in ids])
)
assert all(r.properties["city"] == "Ulm" for r in changed.results)
made = batch.create(BatchInputSimplePublicObjectBatchInputForCreate(inputs=[{"properties": {"city": "Bonn"}}]))
batch.archive(BatchInputSimplePublicObjectId(inputs=[{"id": made.results[0].id}]))
contacts.archive(created.id)
try:
    contacts.get_by_id(created.id)
    raise AssertionError("an archived contact was found")
except ApiException as error:
    assert error.status == 404

found = at_sandbox(client.crm.contacts.search_api).do_search(
    PublicObjectSearchRequest(
        filter_groups=[{"filters": [{"propertyName": "city", "operator": "EQ", "value": "Ulm"}]}],
        sorts=["hs_object_id"],
        properties=["city"],
        limit=10,
        after=0,
    )
)
assert found.total == 2 and sorted(r.id for r in found.results) == sorted(ids), found

properties = at_sandbox(client.crm.properties.core_api).get_all("contacts")
assert any(p.name == "lifecyclestage" and p.options for p in properties.results)
schemas = at_sandbox(client.crm.schemas.core_api).get_all()
machine = next(s for s in schemas.results if s.name == "machine")
objects = at_sandbox(client.crm.objects.basic_api)
assert len(objects.get_page(machine.object_type_id, limit=100).results) == 100
for kind, api in [("deals", client.crm.deals), ("companies", client.crm.companies), ("tickets", client.crm.tickets)]:
    assert at_sandbox(api.basic_api).get_page(limit=5).results, kind
print(f"hubspot-api-client read {len(everyone)} contacts, wrote, searched and listed definitions")
