// A memory of one write and one read port, without reset: block RAM. It answers two clocks after `read_address`. What is
// read while the same word is written is not defined; no module here relies on it.
module leanspike_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 2,
    parameter ADDRESS = 1
) (
    input  wire               clk,
    input  wire               write,
    input  wire [ADDRESS-1:0] write_address,
    input  wire [WIDTH-1:0]   write_data,
    input  wire [ADDRESS-1:0] read_address,
    output reg  [WIDTH-1:0]   read_data
);
    (* no_rw_check *)
    reg [WIDTH-1:0] memory [0:DEPTH-1];
    reg [WIDTH-1:0] found;

    always @(posedge clk) begin
        if (write) memory[write_address] <= write_data;
        found <= memory[read_address];
        read_data <= found;
    end
endmodule
