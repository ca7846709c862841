// A queue of events in block RAM. `head_data` is valid with `head_valid` and leaves with `pop`; what is pushed must have
// been asked for: `room` means that MARGIN words are free.
module leanspike_fifo #(
    parameter WIDTH = 8,
    parameter LOG_DEPTH = 5,
    parameter MARGIN = 16
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             push,
    input  wire [WIDTH-1:0] push_data,
    output reg              room,
    output reg              head_valid,
    output reg  [WIDTH-1:0] head_data,
    input  wire             pop
);
    localparam [LOG_DEPTH:0] DEPTH = {1'b1, {LOG_DEPTH{1'b0}}};
    localparam [31:0] MARGIN_BITS = MARGIN;
    localparam [LOG_DEPTH:0] FULL = DEPTH - MARGIN_BITS[LOG_DEPTH:0];

    (* no_rw_check *)
    reg [WIDTH-1:0] memory [0:(1 << LOG_DEPTH)-1];
    reg [LOG_DEPTH:0] write_count, read_count;
    reg [WIDTH-1:0] next_data;
    reg next_valid;

    wire [LOG_DEPTH:0] level = write_count - read_count;
    wire head_free = !head_valid | pop;
    wire next_free = !next_valid | head_free;
    wire fetch = next_free & (level != {(LOG_DEPTH + 1){1'b0}});

    always @(posedge clk) begin
        if (push) memory[write_count[LOG_DEPTH-1:0]] <= push_data;
        if (fetch) next_data <= memory[read_count[LOG_DEPTH-1:0]];
        if (head_free) head_data <= next_data;
    end

    always @(posedge clk) begin
        if (rst) begin
            write_count <= {(LOG_DEPTH + 1){1'b0}};
            read_count <= {(LOG_DEPTH + 1){1'b0}};
            next_valid <= 1'b0;
            head_valid <= 1'b0;
            room <= 1'b0;
        end else begin
            if (push) write_count <= write_count + 1'b1;
            if (fetch) read_count <= read_count + 1'b1;
            next_valid <= fetch | (next_valid & !head_free);
            if (head_free) head_valid <= next_valid;
            room <= level < FULL;
        end
    end
endmodule
