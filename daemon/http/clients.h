/* SPDX-License-Identifier: MIT */
/* The clients that are connected: who takes too long over one thing (to bring a request, to take its answer)
 * is cut off. Loop thread only. */
#pragma once

#include <stdint.h>
#include <uv.h>

struct clients;
struct client;

/* Each thing may take `limit_ms`. */
[[nodiscard]] struct clients *clients_new(uv_loop_t *loop, uint64_t limit_ms);
/* None may be left. Frees itself when the loop has let go. */
void clients_close(struct clients *clients);

/* Its time begins. `fd`, its socket, stays open until client_free(). Who is cut off has it shut down: whoever
 * reads from it finds the end. */
[[nodiscard]] struct client *client_new(struct clients *clients, int fd);
void client_free(struct client *client);
/* It begins something else: its time begins anew. */
void client_restart(struct client *client);
/* It waits for us, for as long as we take. */
void client_hold(struct client *client);
