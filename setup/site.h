/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds out what HOST belongs to: the cluster's name and nodes, its CA, how a session is to verify
 * the certificates, and which hosts go into the cluster file.
 */
#ifndef PROXXY_SETUP_SITE_H
#define PROXXY_SETUP_SITE_H

#include "setup/setup.h"

struct json_object;

/* Asks for the cluster's status. Sets s->node, s->name and the paths of the files, and adds HOST to
 * s->cluster. Returns EX_OK, and the nodes in *ret_nodes, which is part of *ret_answer, which the
 * caller frees with strict_json_wipe(). Otherwise prints an error and returns its exit status. */
int site_identify(struct setup *s, struct json_object **ret_answer, struct json_object **ret_nodes);

/* Sets s->trust, s->ca and the fingerprints of s->cluster, and adds those other nodes to its hosts
 * that this machine can reach and whose certificates a session would verify. Says which are left
 * out. Returns EX_OK, or as site_identify(). */
int site_explore(struct setup *s, struct json_object *nodes);

/* Adds the hosts of the cluster file that was there, such as nodes that are off at the moment, and
 * says which hosts the new one lists. */
void site_keep_hosts(struct setup *s);

#endif
