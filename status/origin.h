/* SPDX-License-Identifier: Apache-2.0
 *
 * Which requests a web page of another site may have caused. Pure.
 */
#ifndef PROXXY_STATUS_ORIGIN_H
#define PROXXY_STATUS_ORIGIN_H

#include "lib/http.h"

/* Returns true if the Host field names no site: it is localhost or an IP address, with or without
 * port, or missing. A page whose own name was made to resolve to this server (DNS rebinding) sends
 * its name. */
bool origin_is_local(const struct http_request *request);

/* Returns true if the browser says that a page of this origin made the request, or if it says
 * nothing, as older browsers and other programs (Fetch Metadata, Sec-Fetch-Site). */
bool origin_is_own(const struct http_request *request);

#endif
