"""Backs an object up the way a script does: HubSpot's own client, page after page, into a CSV file in a zip.

Reads a JSON request from standard input:
  url         the CRM's URL
  token       the token of the account
  object      the object, such as contacts
  properties  the names of the properties
  archive     the path of the zip to write
Prints JSON: `records`, `seconds` from the first call to the closed zip, `cpuSeconds` of this process in that time, and
`peakMib`, its highest memory. A failure is one sentence on standard error and exit code 1.
"""

import csv
import io
import json
import resource
import sys
import time
import zipfile

import hubspot
from hubspot.crm.objects import ApiException

PAGE = 100
KIB_PER_MIB = 1024


def pages(objects, request):
    """The pages of the object, one call after another."""
    after = None
    while True:
        page = objects.get_page(
            request["object"], limit=PAGE, after=after, properties=request["properties"], archived=False,
        )
        yield page.results
        if page.paging is None or page.paging.next is None:
            return
        after = page.paging.next.after


def back_up(objects, request):
    """Writes the zip and returns the number of records."""
    records = 0
    with zipfile.ZipFile(request["archive"], "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(request["object"] + ".csv", "w") as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
            rows = csv.writer(text)
            rows.writerow(["id", *request["properties"]])
            for page in pages(objects, request):
                rows.writerows([record.id, *map(record.properties.get, request["properties"])] for record in page)
                records += len(page)
    return records


def main():
    request = json.load(sys.stdin)
    objects = hubspot.Client.create(access_token=request["token"]).crm.objects.basic_api
    # The client makes each API anew, with a configuration of its own that leads to HubSpot.
    objects.api_client.configuration.host = request["url"]
    began, cpu_began = time.monotonic(), time.process_time()
    records = back_up(objects, request)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB
    print(json.dumps({
        "records": records, "seconds": time.monotonic() - began, "cpuSeconds": time.process_time() - cpu_began,
        "peakMib": peak,
    }))


if __name__ == "__main__":
    try:
        main()
    except ApiException as error:
        raise SystemExit(f"HubSpot's client gave up: {error.status} {error.reason}") from error
